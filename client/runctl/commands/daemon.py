"""``runctl daemon``: starts, stops and shows the daemon by hand."""

from __future__ import annotations

import os

from runctl import places
from runctl.arguments import Arguments, Command, Option
from runctl.commands.status import put_status
from runctl.failures import DONE, NoDaemonError, UsageError
from runctl.reach import connect, reach_for
from runctl.screen import put_json, say
from runctl.stopping import stop_daemon

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.connection import Connection


def daemon(arguments: Arguments) -> int:
    """Do what the word says."""
    deeds = {"start": _start, "stop": _stop, "status": _status}
    deed = deeds.get(arguments.words[0])
    if deed is None:
        raise UsageError(f"daemon does not take {arguments.words[0]!r}: it takes start, stop or status")
    if arguments.flag("with-runs") and deed is not _stop:
        raise UsageError("--with-runs goes with `runctl daemon stop`")
    return deed(arguments)


def _start(arguments: Arguments) -> int:
    with reach_for(arguments) as connection:
        answer = connection.call("status")
    if arguments.flag("json"):
        put_json(answer)
    else:
        say(f"The daemon runs: pid {answer['pid']}, home {answer['home']}, socket {answer['socket']}")
    return DONE


def _stop(arguments: Arguments) -> int:
    """Stop the daemon and wait until it is gone; one that is not there is stopped already."""
    connection = connect(os.environ)
    if connection is None:
        say("No daemon runs.")
        return DONE
    with connection:
        answer = stop_daemon(connection, with_runs=arguments.flag("with-runs"))
    if arguments.flag("json"):
        put_json(answer)
    else:
        say(f"The daemon has stopped; {'its runs too' if arguments.flag('with-runs') else 'runs go on without it'}")
        if _comes_back():
            say("The next command starts it again, by rund.socket; `systemctl --user stop rund.socket` prevents that")
    return DONE


def _comes_back() -> bool:
    """Whether a socket unit listens for the home."""
    from runctl.service_units import SOCKET
    from runctl.user_manager import UserManager, installed

    there = installed(os.environ)
    if there is None or there.home != places.home(os.environ):
        return False
    return UserManager(os.environ).properties(SOCKET, "ActiveState")["ActiveState"] == "active"


def _status(arguments: Arguments) -> int:
    with _connected() as connection:
        answer = connection.call("status")
    put_status(arguments, answer)
    return DONE


def _connected() -> Connection:
    connection = connect(os.environ)
    if connection is None:
        home = places.home(os.environ)
        raise NoDaemonError(f"no daemon answers for the home {home}: start one with `runctl daemon start`")
    return connection


COMMANDS = {
    "daemon": Command(
        "daemon",
        "start|stop|status",
        "Start, stop or look at the daemon; status starts none.",
        more="Runs go on while no daemon runs, and the next one takes them back.",
        action=daemon,
        least=1,
        most=1,
        example="runctl daemon stop",
        options=(Option("--with-runs", meaning="with stop: stop all that runs too"),),
    )
}
