"""``runctl backup``: copies the database into a file."""

from __future__ import annotations

from runctl import places
from runctl.arguments import Arguments, Command, Option
from runctl.failures import DONE
from runctl.reach import reach_for
from runctl.screen import put_json, say
from rund.errors import InvalidError


def backup(arguments: Arguments) -> int:
    """Have the daemon copy its database, while everything goes on."""
    if not arguments.words[0]:
        raise InvalidError("FILE is empty: give the name of a file, such as rund-backup.db")
    path = places.absolute(arguments.words[0])
    with reach_for(arguments) as daemon:
        answer = daemon.call("backup", path=path, force=arguments.flag("force"))
    if arguments.flag("json"):
        put_json(answer)
    else:
        say(f"The database is in {answer['path']}: {answer['bytes']:,} bytes; the folders of runs are not copied")
    return DONE


COMMANDS = {
    "backup": Command(
        "backup",
        "FILE",
        "Copy the database into FILE, as it is at one moment, while everything goes on.",
        more="The daemon keeps a backup of each day too, in `backups` of its home. "
        "`runctl doctor --restore FILE` puts one in place.",
        action=backup,
        least=1,
        most=1,
        example="runctl backup /mnt/backups/rund.db",
        options=(Option("--force", meaning="replace FILE, if it begins as a database"),),
    )
}
