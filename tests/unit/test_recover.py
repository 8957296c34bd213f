"""What recovery concludes from the facts that an attempt left."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.engine.recover import Alive, Ended, Lost, NeverRan, recover
from rund.model.facts import AttemptFacts, ExitRecord, StartRecord
from rund.model.run import Usage
from rund.model.status import Status

STARTED = StartRecord(
    token="t",
    boot_id="b",
    shim_pid=10,
    shim_start_time=1,
    grace=5.0,
    started=100.0,
    boottime=1.0,
)
EXIT = ExitRecord(
    token="t",
    boot_id="b",
    wait_status=0,
    exit_status=0,
    signal=None,
    core=False,
    exec_errno=None,
    exec_step=None,
    stopped=False,
    usage=Usage(max_rss=1, user_time=0.5, system_time=0.25),
    started=100.0,
    ended=101.0,
    boottime=2.0,
)
BY_CODE = replace(EXIT, wait_status=3 << 8, exit_status=3)
BY_SIGNAL = replace(EXIT, wait_status=9, exit_status=None, signal=9)
NOT_EXECUTED = replace(EXIT, wait_status=127 << 8, exit_status=127, exec_step="program")
NOTHING = AttemptFacts(shim_alive=False, trial_alive=False, started=None, exit=None, same_boot=True)


def ended(record: ExitRecord) -> Ended:
    finding = recover(replace(NOTHING, started=STARTED, exit=record))
    assert isinstance(finding, Ended)
    return finding


@pytest.mark.parametrize(
    ("record", "status", "reason"),
    [
        (EXIT, Status.COMPLETED, None),
        (BY_CODE, Status.ERROR, "exit 3"),
        (replace(EXIT, wait_status=137 << 8, exit_status=137), Status.ERROR, "exit 137"),
        (BY_SIGNAL, Status.TERMINATED, "signal 9"),
        (replace(EXIT, stopped=True), Status.TERMINATED, "stopped"),
        (replace(BY_CODE, stopped=True), Status.TERMINATED, "stopped"),
        (replace(BY_SIGNAL, stopped=True), Status.TERMINATED, "stopped"),
        (replace(NOT_EXECUTED, exec_errno=errno.ENOENT, stopped=True), Status.TERMINATED, "stopped"),
        (replace(NOT_EXECUTED, exec_errno=errno.ENOENT), Status.ERROR, "could not start: no such file"),
        (replace(NOT_EXECUTED, exec_errno=errno.EACCES), Status.ERROR, "could not start: permission denied"),
        (
            replace(NOT_EXECUTED, exec_errno=errno.ENOENT, exec_step="interpreter"),
            Status.ERROR,
            "could not start: its interpreter is missing",
        ),
        (
            replace(NOT_EXECUTED, exec_errno=errno.ENOENT, exec_step="cwd"),
            Status.ERROR,
            "could not start: its directory is gone",
        ),
        (
            replace(NOT_EXECUTED, exec_errno=errno.ELOOP),
            Status.ERROR,
            "could not start: too many levels of symbolic links",
        ),
    ],
)
def test_an_end_is_what_its_record_says(record: ExitRecord, status: Status, reason: str | None) -> None:
    assert (ended(record).status, ended(record).reason) == (status, reason)


def test_an_end_keeps_code_signal_times_and_usage() -> None:
    by_signal = ended(replace(BY_SIGNAL, core=True))
    assert (by_signal.exit_status, by_signal.signal, by_signal.core) == (None, 9, True)
    assert (by_signal.started, by_signal.stopped, by_signal.usage) == (100.0, 101.0, EXIT.usage)
    assert ended(BY_CODE).exit_status == 3


def test_what_was_not_executed_has_no_exit_status_of_its_own() -> None:
    assert ended(replace(NOT_EXECUTED, exec_errno=errno.ENOENT)).exit_status is None


@pytest.mark.parametrize(
    ("facts", "finding"),
    [
        (replace(NOTHING, shim_alive=True), Alive()),
        (replace(NOTHING, shim_alive=True, started=STARTED, exit=EXIT), Alive()),
        (replace(NOTHING, trial_alive=True, started=STARTED), Alive()),
        (replace(NOTHING, trial_alive=True), Alive()),
        (NOTHING, NeverRan()),
        (replace(NOTHING, fault="OSError: no space"), NeverRan(fault="OSError: no space")),
        (replace(NOTHING, started=STARTED), Lost(reason="lost: its supervisor was killed")),
        (replace(NOTHING, same_boot=False), Lost(reason="lost: the machine restarted")),
        (replace(NOTHING, started=STARTED, same_boot=False), Lost(reason="lost: the machine restarted")),
        (replace(NOTHING, damaged=("started: it is cut short",)), Lost(reason="lost: its records are damaged")),
    ],
)
def test_without_a_record_the_locks_and_the_boot_tell(facts: AttemptFacts, finding: object) -> None:
    assert recover(facts) == finding


def test_a_record_of_an_earlier_boot_is_an_end_and_outlived_by_no_process() -> None:
    finding = recover(replace(NOTHING, exit=EXIT, same_boot=False, trial_alive=True))
    assert isinstance(finding, Ended)
    assert finding.status is Status.COMPLETED


RECORDS = st.builds(
    replace,
    st.sampled_from([EXIT, BY_CODE, BY_SIGNAL, NOT_EXECUTED]),
    stopped=st.booleans(),
    core=st.booleans(),
    exec_errno=st.none() | st.integers(min_value=1, max_value=133),
)
FACTS = st.builds(
    AttemptFacts,
    shim_alive=st.booleans(),
    trial_alive=st.booleans(),
    started=st.none() | st.just(STARTED),
    exit=st.none() | RECORDS,
    same_boot=st.booleans(),
    damaged=st.sampled_from([(), ("exit: its checksum does not fit",)]),
)


@given(FACTS)
def test_completed_is_never_concluded_without_a_record_that_says_exit_0_by_itself(facts: AttemptFacts) -> None:
    finding = recover(facts)
    if isinstance(finding, Ended) and finding.status is Status.COMPLETED:
        assert facts.exit is not None
        assert (facts.exit.wait_status, facts.exit.stopped, facts.exit.exec_errno) == (0, False, None)


@given(FACTS)
def test_never_ran_is_concluded_only_of_an_undamaged_directory_without_any_record_and_any_process(
    facts: AttemptFacts,
) -> None:
    if isinstance(recover(facts), NeverRan):
        assert facts.same_boot
        assert (facts.started, facts.exit, facts.damaged) == (None, None, ())
        assert not facts.shim_alive
        assert not facts.trial_alive


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("same_boot", [True, False])
def test_what_was_taken_back_before_it_was_begun_never_ran_whoever_has_its_lock(*, held: bool, same_boot: bool) -> None:
    facts = replace(NOTHING, shim_alive=held, same_boot=same_boot, revoked=True, damaged=("exit: a link",))
    assert isinstance(recover(facts), NeverRan)
