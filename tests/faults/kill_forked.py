"""Runs a command, and kills what it forks at one of the changes that it makes.

``python -m tests.faults.kill_forked REPORT KILL_AT COMMAND...``: with a KILL_AT of 0 nothing is killed; REPORT gets the
changes, one a line, each before it is made.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.faults.changing_calls import watch_forked


def main() -> None:
    """Do so, and end as the command ends."""
    report, kill_at, *command = sys.argv[1:]
    # Unbuffered: who started this may end it as soon as the command has done what it was to do.
    with Path(report).open("wb", buffering=0) as file:
        watched = watch_forked(
            lambda: os.execv(command[0], command),
            kill_at=int(kill_at) or None,
            note=lambda call: file.write(f"{call}\n".encode()),
        )
    sys.exit(os.waitstatus_to_exitcode(watched.status))


if __name__ == "__main__":
    main()
