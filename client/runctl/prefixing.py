"""Output of several trials at once, line by line, each with the short id of its trial.  Pure."""

from __future__ import annotations

_LONGEST = 65_536  # bytes of a line that are held back until its end comes


class Prefixer:
    """One trial's output: bytes as they come, whole lines as they go."""

    def __init__(self, name: str) -> None:
        self._prefix = f"[{name}] ".encode()
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that ``data`` completes; the beginning of another is held back, unless it grows too long."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            lines.append(self._rest)
            self._rest = b""
        return b"".join(self._prefix + line + b"\n" for line in lines)

    def finish(self) -> bytes:
        """The last line, if its end never came."""
        rest, self._rest = self._rest, b""
        return self._prefix + rest + b"\n" if rest else b""
