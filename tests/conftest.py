"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# No example has a deadline, nor has its making: on a busy machine any of them may take long.  The rest is as Hypothesis
# has it, which where CI is set tries the same examples each time.
settings.register_profile("rund", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rund")

# A shell starts what it puts in the background with Ctrl-C ignored, and all that is started from there inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
