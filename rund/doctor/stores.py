"""Whether the database is whole, and how old its last backup is."""

from __future__ import annotations

from datetime import UTC, datetime

from rund.clock import now
from rund.doctor.finding import Finding, fixed, note, ok, wrong
from rund.store.backups import DAY, newest_backup
from rund.store.diagnosis import Diagnosis, diagnose
from rund.store.directories import Directories
from rund.store.examine import check_version, find_damage, offer
from rund.store.log_number import read_salts
from rund.store.recounting import recount

_OLD = 3 * DAY  # seconds


def store_findings(directories: Directories, *, live: bool, fix: bool = False) -> list[Finding]:
    """What is found of the database; ``live``: a daemon uses it; with ``fix`` what is safe is mended, if none does."""
    if live and directories.database.exists() and not directories.log.exists():
        # Not opened: that would make another log, and harm it.
        what = f"the log {directories.log} was removed while a daemon uses it"
        return [wrong("store", what, "`runctl daemon stop` writes what it held into the database; then look again")]
    damage = find_damage(directories, live=live)
    if damage is not None:
        todo = offer(directories, newest_backup(directories.backups))
        return [wrong("store", damage, f"stop the daemon; {todo}" if live else todo)]
    if not directories.database.exists():
        return [note("store", "there is none yet", "the first start makes it")]
    with_log = live or read_salts(directories.log) is not None
    check_version(directories.database, with_log=with_log)
    found = diagnose(directories.database, directories.home / "runs", with_log=with_log)
    mended = _recounted(found, directories, fix=fix and not live)
    return mended + _of(found, directories, told=bool(mended))


def _recounted(found: Diagnosis, directories: Directories, *, fix: bool) -> list[Finding]:
    if not found.miscounted or found.faults:
        return []
    what = f"{found.miscounted} counts of runs by status were wrong"
    if not fix:
        return [wrong("store", what.replace("were", "are"), "stop the daemon, then `runctl doctor --fix` counts anew")]
    recount(directories.database, now=now())
    return [fixed("store", what)]


def _of(found: Diagnosis, directories: Directories, *, told: bool) -> list[Finding]:
    todo = offer(directories, newest_backup(directories.backups))
    findings = [wrong("store", f"the database is damaged: {fault}", todo) for fault in found.faults]
    if found.damaged:
        named = "; ".join(f"{run_id[:8]}: {damage}" for run_id, damage in list(found.damaged.items())[:3])
        more = f" and {len(found.damaged) - 3} more" if len(found.damaged) > 3 else ""
        findings.append(
            wrong(
                "store",
                f"{len(found.damaged)} damaged runs ({named}{more})",
                "they are set aside: delete and purge them, or restore a backup",
            )
        )
    if found.missing:
        named = " ".join(run_id[:8] for run_id in found.missing[:3])
        findings.append(note("folders", f"{len(found.missing)} runs have lost their folder ({named})"))
    if found.unknown:
        findings.append(
            note("folders", f"{found.unknown} folders in runs are of no run that is known: after a restore, say")
        )
    if told:
        return findings
    return findings or [ok("store", f"{directories.database} is whole, with {found.runs:,} runs")]


def backup_findings(directories: Directories) -> list[Finding]:
    """What is found of the backups."""
    newest = newest_backup(directories.backups)
    if newest is None:
        return [note("backups", "there is none", "one is made each day that a daemon runs; `runctl backup` makes one")]
    made = datetime.fromtimestamp(newest.made, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    if now() - newest.made > _OLD:
        return [note("backups", f"the last one is of {made}", "see the daemon's log for why none was made since")]
    return [ok("backups", f"the last one is of {made}")]
