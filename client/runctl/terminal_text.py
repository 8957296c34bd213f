"""Makes a run's output safe for a terminal, whatever its bytes are.  Pure.

Rules:

- Text, its line ends and tabs stay, and what works on one line alone: carriage return, backspace, colours (SGR), and
  erasing in the line.  So progress bars and colours look as they should.
- Every other control character is shown (``^[``, ``\\u009b``) instead of done, for it could move the cursor elsewhere,
  retitle or reprogram the terminal, or make it answer as if somebody typed.
- Bytes that are no text of the terminal's encoding are shown as ``\\xff``.
"""

from __future__ import annotations

import codecs
import re

_COLOUR = r"\x1b\[[0-9;:]*m"
_SEEN = re.compile(rf"{_COLOUR}|\x1b\[[0-2]?K|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BEGUN = re.compile(r"\x1b(\[[0-9;:]{0,40})?\Z")  # may become one of those that stay
_PLAIN_AGAIN = b"\x1b[0m"


class TerminalText:
    """One stream of bytes as they come, and as they may go to a terminal of this encoding."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")
        self._rest = ""  # the beginning of an escape sequence
        self._coloured = False

    def feed(self, data: bytes) -> bytes:
        """What may be written now; an unfinished character or sequence at the end is held back."""
        text = self._rest + self._decoder.decode(data)
        begun = _BEGUN.search(text)
        cut = len(text) if begun is None else begun.start()
        text, self._rest = text[:cut], text[cut:]
        return self._made_safe(text)

    def finish(self) -> bytes:
        """What was held back, and an end of the colours that the output left on."""
        rest = self._made_safe(self._rest + self._decoder.decode(b"", True))  # noqa: FBT003 - it takes no keywords
        self._rest = ""
        coloured, self._coloured = self._coloured, False
        return rest + (_PLAIN_AGAIN if coloured else b"")

    def _made_safe(self, text: str) -> bytes:
        return _SEEN.sub(self._shown, text).encode(self._encoding, "backslashreplace")

    def _shown(self, found: re.Match[str]) -> str:
        text = found[0]
        if len(text) > 1:
            self._coloured |= text.endswith("m")
            return text
        code = ord(text)
        return f"\\u{code:04x}" if code > 0x7F else f"^{chr(code ^ 0x40)}"
