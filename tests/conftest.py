"""What holds for every test."""

from __future__ import annotations

import signal

from hypothesis import settings

# No example has a deadline: on a busy machine any of them may take long.
settings.register_profile("rund", deadline=None)
settings.load_profile("rund")

# A shell starts what it puts in the background with Ctrl-C ignored, and all that is started from there inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
