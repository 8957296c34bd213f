"""What holds for every test."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

# No example has a deadline, nor has its making: on a busy machine any of them may take long.  The rest is as Hypothesis
# has it, which where CI is set tries the same examples each time.
settings.register_profile("rund", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rund")

# A shell starts what it puts in the background with Ctrl-C ignored, and all that is started from there inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell at how many points a fault was injected, as the tests have counted them with ``record_property``."""
    points = violations = 0
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        if getattr(report, "when", None) == "call":
            counted = dict(report.user_properties)
            points += counted.get("points", 0)
            violations += counted.get("violations", report.failed) if "points" in counted else 0
    if points:
        terminalreporter.write_line(f"{points:,} points at which a fault was injected, {violations} violations")
