"""A process number that is given again names somebody else: no stranger is signalled, and no end is taken for another's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rund.engine.recover import Ended
from tests.faults.kill_world import ROOT
from tests.faults.pid_namespace import in_namespace
from tests.integration.attempts import Attempts, attempts_fixture, found  # noqa: F401 - pytest finds the fixture here
from tests.integration.bare_shim import run_shim

# The record's first writing fails for as long as the trial's number has not been given again.
_FULL_UNTIL_REUSED = """
import errno, rund.executor.shim as shim
write = shim.AttemptFiles.write_exit
def write_exit(files, fields):
    if not os.path.exists({reused!r}):
        raise OSError(errno.ENOSPC, "no room")
    write(files, fields)
shim.AttemptFiles.write_exit = write_exit
"""
# Ends with 3, and leaves a process that waits until it is reaped, and then leaves another with its number, which ends.
_LEAVES_ITS_NUMBER = """
number=$$
export number
(setsid sh -c '
    while [ -e /proc/$number ]; do sleep 0.01; done
    while :; do
        echo $((number - 1)) > /proc/sys/kernel/ns_last_pid
        true &
        [ $! = $number ] && break
    done
    exec touch {reused}
' &)
exit 3
"""


@pytest.mark.timeout(300)
def test_no_stranger_is_signalled_by_a_daemon_whose_runs_are_gone(tmp_path: Path) -> None:
    command = in_namespace(sys.executable, "-m", "tests.faults.reused_numbers", tmp_path)
    subprocess.run(command, cwd=ROOT, check=True)


def test_the_first_end_counts_though_something_left_behind_got_the_trials_number(attempts: Attempts) -> None:
    reused = str(attempts.base / "reused")
    attempt = attempts.shell(_LEAVES_ITS_NUMBER.format(reused=reused))
    assert run_shim(attempt, launcher=in_namespace(), before=_FULL_UNTIL_REUSED.format(reused=reused)) == 0
    assert Path(reused).exists()
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert finding.reason == "exit 3"
