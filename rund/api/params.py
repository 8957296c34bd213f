"""The typed params of each method, and how they are read from what a client sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from rund.errors import InvalidError

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
RunName = Annotated[str, Meta(min_length=1, max_length=64)]  # an id, a prefix of one, or "@1"
Text = Annotated[str, Meta(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*$")]  # a line
# Looked at before the values are: a million would hold up everybody for a second.
Some = Meta(max_length=10_000)
RunNames = Annotated[list[RunName], Some]
Environment = Annotated[dict[str, Any], Some]  # values are str, or bytes where they are not UTF-8
Args = Annotated[list[str], Some]
FlagValues = Annotated[dict[str, Any], Some]
Names = Annotated[list[Name], Some]
Texts = Annotated[list[Text], Some]
RequestId = Annotated[str, Meta(min_length=1, max_length=200)]
Seconds = Annotated[float, Meta(ge=0, le=86_400 * 365)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Slots = Annotated[int, Meta(ge=1, le=1_000_000)]
Priority = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Jobs = Annotated[int, Meta(ge=1, le=1_000_000)]
Retries = Annotated[int, Meta(ge=0, le=1_000_000)]
MaxTrials = Annotated[int, Meta(ge=1, le=1_000_000)]
# Maps, one trial or one grid each, as `rund.operations.batch_rows.check_rows` sees.  As ``list[dict[str, Any]]`` they
# would be copied, and the copies freed, all at once: with 200,000 rows nobody else is served for 0.1 s.
Rows = list[Any]
Limit = Annotated[int, Meta(ge=1, le=10_000)]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every method's params have in common: unknown ones are refused."""


class ChangeParams(Params, frozen=True, kw_only=True):
    """Params of a method that changes something: the same ``request_id`` again gives the first reply."""

    request_id: RequestId | None = None


class HelloParams(Params, frozen=True, kw_only=True):
    """Says which protocol and home the client means, and asks for the daemon's."""

    protocol: int | None = None
    home: Text | None = None


class RunParams(ChangeParams, frozen=True, kw_only=True):
    """Makes a run of ``operation``, and queues it."""

    operation: Annotated[str, Meta(min_length=1, max_length=4096)]
    args: Args = []
    flags: FlagValues = {}
    cwd: Annotated[str, Meta(pattern="^/", max_length=4096)]
    env: Environment = {}
    label: Text | None = None
    tags: Names = []
    inputs: Texts = []
    random_seed: Seed | None = None
    slots: Slots | None = None
    priority: Priority = 0
    stage: bool = False
    needed: bool = False
    dry_run: bool = False
    force_flags: bool = False
    rows: Rows | None = None
    optimizer: Literal["grid", "random"] | None = None
    max_trials: MaxTrials | None = None
    jobs: Jobs | None = None
    retries: Retries = 0
    fail_fast: bool = False


class RestartParams(ChangeParams, frozen=True, kw_only=True):
    """Runs a run again, in place."""

    run: RunName
    args: Args = []
    flags: FlagValues = {}
    cwd: Annotated[str, Meta(pattern="^/", max_length=4096)] | None = None  # that a batch file is relative to
    env: Environment | None = None  # with update_env
    random_seed: Seed | None = None
    slots: Slots | None = None
    priority: Priority | None = None
    needed: bool = False
    dry_run: bool = False
    stage: bool = False
    clean: bool = False
    update_source: bool = False
    update_env: bool = False
    force_flags: bool = False
    rows: Rows | None = None
    optimizer: Literal["grid", "random"] | None = None
    max_trials: MaxTrials | Literal["all"] | None = None
    jobs: Jobs | Literal["all"] | None = None
    retries: Retries | None = None
    fail_fast: bool | None = None


class StartParams(ChangeParams, frozen=True, kw_only=True):
    """Queues what is staged."""

    runs: RunNames


class StopParams(ChangeParams, frozen=True, kw_only=True):
    """Ends runs and all that they started; withdraws those that wait."""

    runs: RunNames


class DeleteParams(ChangeParams, frozen=True, kw_only=True):
    """Moves runs to the trash."""

    runs: RunNames
    stop: bool = False
    with_trials: bool = False


class RestoreParams(ChangeParams, frozen=True, kw_only=True):
    """Takes runs out of the trash."""

    runs: RunNames


class PurgeParams(ChangeParams, frozen=True, kw_only=True):
    """Frees what is in the trash: ``runs`` of it, or all."""

    runs: RunNames | None = None


class ListParams(Params, frozen=True, kw_only=True):
    """Asks for runs, newest start first."""

    status: Args = []
    operation: Text | None = None
    label: Text | None = None
    tag: Name | None = None
    batch: RunName | None = None
    orphans: bool = False
    trash: bool = False
    limit: Limit = 20
    after: Text | None = None  # ``next`` of the reply before


class ShowParams(Params, frozen=True, kw_only=True):
    """Asks for all that is known of one run."""

    run: RunName
    environment: bool = False


class TrialsParams(Params, frozen=True, kw_only=True):
    """Asks for the ids of a list of trials that was committed, a page at a time."""

    batch: RunName
    generation: Number | None = None
    after: Number = 0  # how many have been read
    limit: Limit = 10_000


class OutputParams(Params, frozen=True, kw_only=True):
    """Asks for bytes of an attempt's output, waiting up to ``timeout`` for the first."""

    run: RunName
    attempt: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    offset: Annotated[int, Meta(ge=-(2**62), le=2**62)] = 0  # negative: from the end
    limit: Annotated[int, Meta(ge=1, le=1_048_576)] = 65_536
    timeout: Seconds = 0.0


class WaitParams(Params, frozen=True, kw_only=True):
    """Waits until none of ``runs`` is running or pending."""

    runs: RunNames
    timeout: Seconds | None = None
    attempts: bool = False


class SetParams(ChangeParams, frozen=True, kw_only=True):
    """Changes labels and tags."""

    runs: RunNames
    label: Text | None = None  # "" takes it away
    add_tags: Names = []
    remove_tags: Names = []


class EventsParams(Params, frozen=True, kw_only=True):
    """Asks for the events after a number, waiting up to ``timeout`` for the first."""

    after: Number | None = None
    limit: Limit = 1000
    timeout: Seconds = 0.0


class SubscribeParams(Params, frozen=True, kw_only=True):
    """Asks for events as notifications, from after a number (None: from now)."""

    after: Number | None = None
    method: Name = "event"
    prefix: list[Any] = []


class UnsubscribeParams(Params, frozen=True, kw_only=True):
    """Ends a subscription."""

    subscription: Number | None = None  # None: all of this connection


class StatusParams(Params, frozen=True, kw_only=True):
    """Asks how the daemon is."""


class PauseParams(ChangeParams, frozen=True, kw_only=True):
    """Starts nothing new, of one batch or at all, until `ResumeParams`."""

    batch: RunName | None = None


class ResumeParams(ChangeParams, frozen=True, kw_only=True):
    """Lifts a pause, of one batch or of all."""

    batch: RunName | None = None


class BackupParams(Params, frozen=True, kw_only=True):
    """Copies the database into a file; with ``force`` over a database that is there."""

    path: str
    force: bool = False


class ShutdownParams(Params, frozen=True, kw_only=True):
    """Stops the daemon, and with ``with_runs`` all that runs."""

    with_runs: bool = False


METHODS: dict[str, type[Params]] = {
    "hello": HelloParams,
    "run": RunParams,
    "restart": RestartParams,
    "start": StartParams,
    "stop": StopParams,
    "delete": DeleteParams,
    "restore": RestoreParams,
    "purge": PurgeParams,
    "list": ListParams,
    "show": ShowParams,
    "trials": TrialsParams,
    "output": OutputParams,
    "wait": WaitParams,
    "set": SetParams,
    "events": EventsParams,
    "subscribe": SubscribeParams,
    "unsubscribe": UnsubscribeParams,
    "status": StatusParams,
    "pause": PauseParams,
    "resume": ResumeParams,
    "backup": BackupParams,
    "shutdown": ShutdownParams,
}

_LONGEST_NAME = 100  # characters

AnyParams = TypeVar("AnyParams", bound=Params)


def read_params(kind: type[AnyParams], params: object) -> AnyParams:
    """The typed params that a client sent: one map, in a list or bare; nothing at all is an empty map.

    A nil param is one not given.  Raises `InvalidError`, naming the param, for anything else.
    """
    if isinstance(params, list):
        if len(params) > 1:
            raise InvalidError(f"params are one map, not {len(params)} values: send [{{...}}]")
        params = params[0] if params else {}
    if params is None or params == []:
        params = {}
    if not isinstance(params, dict):
        raise InvalidError(f"params are one map, not {type(params).__name__}: send [{{...}}]")
    for name in params:
        if len(name) > _LONGEST_NAME:  # before it is a part of messages
            raise InvalidError(f"unknown param `{name[:_LONGEST_NAME]}...`")
    given = {name: value for name, value in params.items() if value is not None}
    try:
        return msgspec.convert(given, type=kind)
    except msgspec.ValidationError as error:
        raise _named(error) from None


def _named(error: msgspec.ValidationError) -> InvalidError:
    """The error with the param first: ``limit: expected `int`, got `str```."""
    what, _, where = str(error).partition(" - at `")
    path = where.removesuffix("`").removeprefix("$").removeprefix(".")
    if not path:
        return InvalidError(what.replace("Object contains unknown field", "unknown param"))
    return InvalidError(f"{path}: {what[:1].lower()}{what[1:]}", field=path)
