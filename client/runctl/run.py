"""A run, for the blocking client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from runctl.calls import OUTPUT_PATIENCE, RestartOptions
from runctl.run_view import RunView
from runctl.trial_pages import TrialPages

if TYPE_CHECKING:
    from runctl.answers import OutputAnswer
    from runctl.client import Client


class Run(RunView):
    """A run as the daemon last told of it; all methods raise `rund.errors.RundError`."""

    def __init__(self, client: Client, attrs: Mapping[str, Any]) -> None:
        super().__init__(attrs)
        self._client = client

    def refresh(self) -> Run:
        """Look at the run again; answers itself."""
        self.attrs = dict(self._client.call("show", run=self.id)["run"])
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is neither running nor pending; False if ``timeout`` seconds have passed before that."""
        return self._client.wait(self, timeout=timeout)

    def trials(self) -> list[Run]:
        """Of a batch: its trials, in order, as one committed list."""
        pages = TrialPages(self.id)
        while (params := pages.wanted()) is not None:
            pages.take(self._client.call("list", **params))
        return [Run(self._client, attrs) for attrs in pages.runs]

    def start(self) -> None:
        """Queue it, if it is staged; a batch's staged trials."""
        self._client.start(self)

    def stop(self, *, wait: bool = True) -> None:
        """End it and all that it started, and wait for its end unless ``wait`` is False."""
        self._client.stop(self, wait=wait)

    def restart(self, **options: Unpack[RestartOptions]) -> Run:
        """Run it again, in place; answers itself."""
        self.attrs = self._client.restart(self, **options).attrs
        return self

    def delete(self, *, stop: bool = False, with_trials: bool = False) -> None:
        """Move it to the trash; with ``stop`` also if it runs; ``with_trials``: a batch's trials too."""
        self._client.delete(self, stop=stop, with_trials=with_trials)

    def set_label(self, text: str | None) -> None:
        """Give it a label, or take it away."""
        self._set(label=text or "")

    def tag(self, *add: str, remove: Sequence[str] = ()) -> None:
        """Add tags, and take others away."""
        self._set(add_tags=list(add), remove_tags=list(remove))

    def _set(self, **params: object) -> None:
        self.attrs = dict(self._client.call("set", runs=[self.id], **params)["runs"][0])

    def output(self, *, attempt: int | None = None) -> bytes:
        """What an attempt, by default the latest, has written so far; of too much, the end (setting output_limit)."""
        return b"".join(self._output(attempt, timeout=0.0))

    def follow(self, *, attempt: int | None = None) -> Iterator[bytes]:
        """What an attempt, by default the latest that has started, writes, as it comes; ends with the attempt."""
        return self._output(attempt, timeout=OUTPUT_PATIENCE)

    def _output(self, attempt: int | None, *, timeout: float) -> Iterator[bytes]:
        offset = 0
        while True:
            part: OutputAnswer = self._client.call(
                "output", run=self.id, attempt=attempt, offset=offset, timeout=timeout
            )
            attempt, offset = part["attempt"], part["next"]
            if part["data"]:
                yield part["data"]
            if part["end"] or not (part["data"] or timeout):
                return
