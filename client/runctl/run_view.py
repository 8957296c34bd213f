"""What a run tells of itself, the same for the sync and the async client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rund.model.values import Flags


class RunView:
    """A run as the daemon last told of it; ``attrs`` is the whole flat map of the wire."""

    def __init__(self, attrs: Mapping[str, Any]) -> None:
        self.attrs: dict[str, Any] = dict(attrs)

    @property
    def id(self) -> str:
        """32 lower-case hex digits."""
        return str(self.attrs["id"])

    @property
    def operation(self) -> str:
        """The name of what is run."""
        return str(self.attrs["operation"])

    @property
    def status(self) -> str:
        """``staged``, ``pending``, ``running``, ``completed``, ``error`` or ``terminated``, when last looked at."""
        return str(self.attrs["status"])

    @property
    def reason(self) -> str | None:
        """Why it is pending, or why it ended."""
        reason: str | None = self.attrs["reason"]
        return reason

    @property
    def flags(self) -> Flags:
        """The values it runs with."""
        flags: Flags = self.attrs["flags"]
        return flags

    @property
    def dir(self) -> Path:
        """Its directory."""
        return Path(self.attrs["dir"])

    @property
    def is_batch(self) -> bool:
        """Whether it generates and owns trials."""
        return "trial_count" in self.attrs

    @property
    def counts(self) -> dict[str, int]:
        """Of a batch: how many of its trials have each status; empty of a single run."""
        return dict(self.attrs.get("counts", {}))

    @property
    def exit_status(self) -> int | None:
        """Its exit code, if it ended with one."""
        status: int | None = self.attrs["exit_status"]
        return status

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id[:8]} {self.operation} {self.status}>"


def take_attrs(runs: Iterable[object], told: Iterable[Mapping[str, Any]]) -> None:
    """Give those of ``runs`` that are objects, not ids, what the daemon told of them."""
    known = {run.id: run for run in runs if isinstance(run, RunView)}
    for attrs in told:
        if attrs["id"] in known:
            known[attrs["id"]].attrs = dict(attrs)
