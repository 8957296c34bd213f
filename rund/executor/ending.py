"""Records what became of attempts: their ends, and those that are proven never to have run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from rund.clock import go_on_after, now
from rund.engine import lifecycle
from rund.engine.lifecycle import End
from rund.engine.recover import Alive, Ended, Finding, Lost, NeverRan, recover
from rund.executor.facts import read_facts
from rund.executor.persist import learn
from rund.model.event import EventKind
from rund.model.run import Attempt, Run
from rund.model.status import Status
from rund.store.reader import Reader
from rund.store.store import Store
from rund.store.transaction import Transaction
from rund.threads import in_thread

Outcome = NeverRan | Lost | End


def token_of(run: Run) -> str:
    """The token of the attempt that ``run`` is running."""
    return f"{run.id}-{run.starts}"


class Ends:
    """Finds out and records what became of attempts, named by their tokens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def outcomes(self, tokens: Collection[str]) -> dict[str, Outcome]:
        """What became of attempts that nobody watches; one of which nobody can tell yet is left out."""
        boots = await learn(self._store, partial(_boots, tokens=tokens))
        return outcomes_of(await in_thread(self._findings, boots))

    def _findings(self, boots: Mapping[str, str | None]) -> dict[str, Finding]:
        attempt = self._store.directories.attempt
        return {token: recover(read_facts(attempt(token), boot=boot)) for token, boot in boots.items()}

    def record_in(self, transaction: Transaction, outcomes: Mapping[str, Outcome]) -> None:
        """Record outcomes, each once however often it is told."""
        changes: list[tuple[Run, Run]] = []
        for token, outcome in outcomes.items():
            run = transaction.find(_run_id(token))
            if run is None or run.status is not Status.RUNNING or token_of(run) != token:
                continue  # recorded before
            attempt = transaction.attempt(run.id, run.attempts) or _lost_attempt(run, token)
            if isinstance(outcome, End):
                go_on_after(outcome.stopped)  # a daemon of before may have had another clock
            changes += self._apply_one(transaction, run, attempt, outcome)
        # All at once: a list is committed once, however many leave it.
        transaction.leave_changed(changes, now())

    def _apply_one(
        self, transaction: Transaction, run: Run, attempt: Attempt, outcome: Outcome
    ) -> list[tuple[Run, Run]]:
        """Record one outcome; answers each run that it changes, before and after."""
        time = now()
        match outcome:
            case NeverRan():
                last = transaction.attempt(run.id, attempt.number - 1)
                after = lifecycle.never_ran(run, attempt, last, now=time)
                transaction.erase_attempt(run.id, attempt.number)
                transaction.add_garbage([self._store.directories.garbage_of_attempt(attempt.token)])
                transaction.save_run(after)
                kind = EventKind.QUEUED if after.status is Status.PENDING else EventKind.WITHDRAWN
                transaction.add_event(kind, time, [run.id], status=after.status, reason=after.reason, batch=run.batch)
                return [(run, after)]
            case Lost() if run.stopping:
                how = End(status=Status.TERMINATED, reason=lifecycle.STOPPED, stopped=time)
                return _end_run(transaction, run, attempt, how)
            case Lost():
                lost = End(status=Status.ERROR, reason=outcome.reason, stopped=time)
                return _end_run(transaction, run, attempt, lost)
            case End():
                return _end_run(transaction, run, attempt, outcome)


def _lost_attempt(run: Run, token: str) -> Attempt:
    """Stands for an attempt that the store has lost: the run ends all the same."""
    damage = None if run.damage is None else "it is lost"
    return Attempt(number=run.attempts, token=token, spec=run.spec, started=run.started or now(), damage=damage)


def _end_run(transaction: Transaction, run: Run, attempt: Attempt, how: End) -> list[tuple[Run, Run]]:
    time = now()
    after, over = lifecycle.end(run, attempt, how, now=time, place=transaction.next_place())
    transaction.end_attempt(run.id, over)
    transaction.change_run(run, after)
    transaction.add_event(EventKind.ENDED, time, [run.id], status=how.status, reason=how.reason, batch=run.batch)
    if after.status is Status.PENDING:  # a restart waited for this end
        transaction.add_event(EventKind.QUEUED, time, [run.id], status=after.status, batch=run.batch)
    elif not run.stopping:  # what somebody has stopped is not started again by itself, however it ended
        return [(run, after), *_after_end(transaction, after, how, time)]
    return [(run, after)]


def _after_end(transaction: Transaction, run: Run, how: End, time: float) -> list[tuple[Run, Run]]:
    """Start a trial again that ended badly, or give up those that wait, as its batch has it."""
    if run.batch is None or not lifecycle.ended_badly(how):
        return []
    policy = transaction.policy(run.batch)
    if run.retried < policy.retries:
        again = lifecycle.retry(run, now=time, place=transaction.next_place())
        transaction.save_run(again)
        transaction.add_event(EventKind.QUEUED, time, [run.id], status=again.status, batch=run.batch)
    elif policy.fail_fast:
        transaction.retry_no_more(run.batch)
        return transaction.withdraw_each(transaction.waiting_trials(run.batch), time)
    return []


def _boots(reader: Reader, *, tokens: Collection[str]) -> dict[str, str | None]:
    """The boot id that was recorded with the intent of each attempt."""
    boots: dict[str, str | None] = {}
    for token in tokens:
        run = reader.find(_run_id(token))
        attempt = None if run is None else reader.attempt(run.id, run.attempts)
        boots[token] = None if attempt is None else attempt.boot_id
    return boots


def _run_id(token: str) -> str:
    return token.partition("-")[0]


def outcomes_of(findings: Mapping[str, Finding]) -> dict[str, Outcome]:
    """What became of attempts, as it is recorded; one that is alive is left out."""
    return {
        token: _end(finding) if isinstance(finding, Ended) else finding
        for token, finding in findings.items()
        if not isinstance(finding, Alive)
    }


def _end(found: Ended) -> End:
    return End(
        status=found.status,
        reason=found.reason,
        exit_status=found.exit_status,
        signal=found.signal,
        stopped=found.stopped,
        usage=found.usage,
        scalars=dict(found.scalars),
    )
