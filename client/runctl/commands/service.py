"""``runctl service``: rund as a service of the user's systemd."""

from __future__ import annotations

import os

from runctl.arguments import Arguments, Command
from runctl.failures import DONE, INCOMPLETE, UsageError
from runctl.screen import plain, put, put_json, say, width

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from runctl.user_manager import UserManager


def service(arguments: Arguments) -> int:
    """Do what the word says."""
    deeds = {"install": _install, "uninstall": _uninstall, "status": _status}
    deed = deeds.get(arguments.words[0])
    if deed is None:
        raise UsageError(f"service does not take {arguments.words[0]!r}: it takes install, uninstall or status")
    from runctl.user_manager import UserManager

    return deed(arguments, UserManager(os.environ))


def _install(arguments: Arguments, manager: UserManager) -> int:
    from runctl.service import install
    from runctl.user_manager import unit_folder

    answer, replaced = install(dict(os.environ), manager)
    lingering = manager.lingering()
    folder = str(unit_folder(os.environ))
    if arguments.flag("json"):
        put_json({"daemon": answer, "replaced": replaced, "folder": folder, "lingering": lingering})
        return DONE
    say(f"Installed rund.socket and rund.service in {folder}")
    if replaced is not None:
        say(f"The daemon that ran by hand (pid {replaced}) has made way; its runs go on under the service's")
    say(f"The daemon runs: pid {answer['pid']}, home {answer['home']}, socket {answer['socket']}")
    names = [f"RUND_{setting['name'].upper()}" for setting in answer["settings"]]
    own = [name for name in names if name in os.environ and name not in ("RUND_HOME", "RUND_SOCKET")]
    if own:
        say(f"{', '.join(own)} of this shell do not reach the service: put them into config.toml (see rund --help)")
    say(_about_lingering(lingering))
    return DONE


def _uninstall(arguments: Arguments, manager: UserManager) -> int:
    from runctl.service import uninstall

    answer = uninstall(dict(os.environ), manager)
    running = None if answer is None else answer["counts"].get("running", 0)
    if arguments.flag("json"):
        put_json({"uninstalled": True, "running": running})
        return DONE
    say("Removed rund.socket and rund.service; the daemon has stopped, and the home with its runs is as it was")
    if running:
        say(f"Runs go on without a daemon ({running}); `runctl daemon start`, or any other command, takes them back")
    return DONE


def _status(arguments: Arguments, manager: UserManager) -> int:
    from runctl.service import service_pid
    from runctl.service_units import SERVICE, SOCKET, UNITS
    from runctl.user_manager import installed, unit_folder

    there = installed(os.environ)
    manager.check()
    states = {unit: manager.properties(unit, "ActiveState", "UnitFileState", "Result") for unit in UNITS}
    listening = there is not None and states[SOCKET]["ActiveState"] == "active"
    facts = {
        "installed": there is not None,
        "folder": str(unit_folder(os.environ)),
        "home": there and there.home,
        "path": there and there.socket,
        "socket": states[SOCKET]["ActiveState"],
        "service": states[SERVICE]["ActiveState"],
        "result": states[SERVICE]["Result"],
        "pid": service_pid(manager),
        "at_login": all(state["UnitFileState"] == "enabled" for state in states.values()),
        "lingering": manager.lingering(),
    }
    if arguments.flag("json"):
        put_json(facts)
    elif there is None:
        say(f"Not installed: there is no rund.socket of runctl's in {facts['folder']}; see runctl service --help")
    else:
        from runctl.table import lay_out

        put("\n".join(lay_out([(name, _shown(value)) for name, value in facts.items()], width())))
        say(_about_lingering(manager.lingering()))
    return DONE if listening else INCOMPLETE


def _shown(value: object) -> str:
    words = {True: "yes", False: "no", None: "-"}
    return words[value] if value is None or isinstance(value, bool) else plain(str(value))


def _about_lingering(lingering: bool | None) -> str:  # noqa: FBT001 - a fact, not a switch
    if lingering:
        return "Lingering is on: the daemon and its runs go on when you log out, and start with the machine"
    ends = "the daemon and all its runs end with your last session"
    if lingering is None:
        return f"Whether lingering is on cannot be told here. Without it {ends}: `loginctl enable-linger` turns it on"
    return f"Lingering is off: {ends}. `loginctl enable-linger` turns it on"


COMMANDS = {
    "service": Command(
        "service",
        "install|uninstall|status",
        "Make rund a service of your systemd: started with your session or by a command, and again if it dies.",
        more="install puts rund.socket and rund.service into the folder of your own units, for the home that RUND_HOME"
        " means now, and starts them; a daemon that runs by hand makes way. uninstall takes away what install has put"
        " there. Runs go on through all of it. Only with lingering do they outlive your last session; install and"
        " status say whether it is on.",
        action=service,
        least=1,
        most=1,
        example="runctl service install",
    )
}
