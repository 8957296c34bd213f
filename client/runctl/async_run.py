"""A run, for the async client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from runctl.calls import OUTPUT_PATIENCE, RestartOptions
from runctl.run_view import RunView
from runctl.trial_pages import TrialPages

if TYPE_CHECKING:
    from runctl.answers import OutputAnswer
    from runctl.async_client import AsyncClient


class AsyncRun(RunView):
    """A run as the daemon last told of it; all methods raise `rund.errors.RundError`."""

    def __init__(self, client: AsyncClient, attrs: Mapping[str, Any]) -> None:
        super().__init__(attrs)
        self._client = client

    async def refresh(self) -> AsyncRun:
        """Look at the run again; answers itself."""
        self.attrs = dict((await self._client.call("show", run=self.id))["run"])
        return self

    async def wait(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - the daemon's, not a scope
        """Wait until it is neither running nor pending; False if ``timeout`` seconds have passed before that."""
        return await self._client.wait(self, timeout=timeout)

    async def trials(self) -> list[AsyncRun]:
        """Of a batch: its trials, in order, as one committed list."""
        pages = TrialPages(self.id)
        while (params := pages.wanted()) is not None:
            pages.take(await self._client.call("list", **params))
        return [AsyncRun(self._client, attrs) for attrs in pages.runs]

    async def start(self) -> None:
        """Queue it, if it is staged; a batch's staged trials."""
        await self._client.start(self)

    async def stop(self, *, wait: bool = True) -> None:
        """End it and all that it started, and wait for its end unless ``wait`` is False."""
        await self._client.stop(self, wait=wait)

    async def restart(self, **options: Unpack[RestartOptions]) -> AsyncRun:
        """Run it again, in place; answers itself."""
        self.attrs = (await self._client.restart(self, **options)).attrs
        return self

    async def delete(self, *, stop: bool = False, with_trials: bool = False) -> None:
        """Move it to the trash; with ``stop`` also if it runs; ``with_trials``: a batch's trials too."""
        await self._client.delete(self, stop=stop, with_trials=with_trials)

    async def set_label(self, text: str | None) -> None:
        """Give it a label, or take it away."""
        await self._set(label=text or "")

    async def tag(self, *add: str, remove: Sequence[str] = ()) -> None:
        """Add tags, and take others away."""
        await self._set(add_tags=list(add), remove_tags=list(remove))

    async def _set(self, **params: object) -> None:
        self.attrs = dict((await self._client.call("set", runs=[self.id], **params))["runs"][0])

    async def output(self, *, attempt: int | None = None) -> bytes:
        """What an attempt, by default the latest, has written so far; of too much, the end (setting output_limit)."""
        return b"".join([part async for part in self._output(attempt, timeout=0.0)])

    def follow(self, *, attempt: int | None = None) -> AsyncIterator[bytes]:
        """What an attempt, by default the latest that has started, writes, as it comes; ends with the attempt."""
        return self._output(attempt, timeout=OUTPUT_PATIENCE)

    async def _output(self, attempt: int | None, *, timeout: float) -> AsyncIterator[bytes]:  # noqa: ASYNC109 - the daemon's, not a scope
        offset = 0
        while True:
            part: OutputAnswer = await self._client.call(
                "output", run=self.id, attempt=attempt, offset=offset, timeout=timeout
            )
            attempt, offset = part["attempt"], part["next"]
            if part["data"]:
                yield part["data"]
            if part["end"] or not (part["data"] or timeout):
                return
