"""The command ``rund``: arguments, then the daemon."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

from rund import __version__
from rund.errors import RundError

if TYPE_CHECKING:
    from rund.settings import Settings

_EPILOG = """\
example:
  rund                    serve the home until stopped with Ctrl-C or SIGTERM; runs go on without it
  RUND_SLOTS=2 rund       at most two runs at once

Clients start a daemon by themselves where none answers: see runctl --help.
"""


def main() -> int:
    """Run the daemon; answers the exit status: 0 stopped, 1 it could not serve, 2 wrong usage."""
    if not sys.platform.startswith("linux"):
        print(f"rund: runs on Linux 5.4 and later, not on {sys.platform}", file=sys.stderr)  # noqa: T201
        return 1
    # They need Linux.
    from rund import daemon, settings

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        found = settings.read_settings(os.environ)
        _parser(found).parse_args()
        daemon.run(found)
    except RundError as error:
        return _complain(error.message)
    except OSError as error:
        return _complain(f"{error.strerror or error}: {error.filename or 'the home'}")
    return 0


def _complain(message: str) -> int:
    print(f"rund: {message}", file=sys.stderr)  # noqa: T201 - what a person reads, not the log
    return 1


def _parser(found: Settings) -> argparse.ArgumentParser:
    rows = found.rows()
    width = max(len(row["name"]) for row in rows)
    lines = [f"  {row['name']:{width}}  {row['value']}  ({row['origin']}): {row['help']}" for row in rows]
    text = "settings now, and where they come from:\n" + "\n".join(lines)
    hint = f"\n\nSet them in {found.config}, or by RUND_NAME in the environment.\n\n"
    parser = argparse.ArgumentParser(
        prog="rund",
        description="The daemon that owns a store of runs and executes them. It stays in the foreground.",
        epilog=text + hint + _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rund {__version__}")
    return parser
