"""Runs a command, and kills what it forks at one of the changes that it makes.

``python -m tests.faults.kill_forked REPORT KILL_AT COMMAND...``: with a KILL_AT of 0 nothing is killed; REPORT gets the
changes, one a line, when the command has ended.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.faults.changing_calls import watch_forked


def main() -> None:
    """Do so, and end as the command ends."""
    report, kill_at, *command = sys.argv[1:]
    watched = watch_forked(lambda: os.execv(command[0], command), kill_at=int(kill_at) or None)
    Path(report).write_text("\n".join(watched.calls))
    sys.exit(os.waitstatus_to_exitcode(watched.status))


if __name__ == "__main__":
    main()
