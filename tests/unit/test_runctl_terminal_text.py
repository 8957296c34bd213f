"""What a run writes can do nothing to a terminal but write and colour its own lines."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runctl.terminal_text import TerminalText

ALLOWED = re.compile(r"\x1b\[[0-9;:]*m|\x1b\[[0-2]?K")
CONTROLS = [bytes([code]) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]
PIECES = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.text(max_size=8).map(lambda text: text.encode("utf-8", "replace")),
        st.sampled_from([b"\x1b[31m", b"\x1b[", b"\x1b[2J", b"\x1b]0;title\x07", b"\x1bP", b"\xc2\x9b31m", *CONTROLS]),
    ),
    max_size=12,
)


def shown(*pieces: bytes, encoding: str = "utf-8") -> bytes:
    text = TerminalText(encoding)
    return b"".join(map(text.feed, pieces)) + text.finish()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@given(pieces=PIECES)
def test_nothing_that_moves_or_programs_a_terminal_comes_through(encoding: str, pieces: list[bytes]) -> None:
    text = ALLOWED.sub("", shown(*pieces, encoding=encoding).decode(encoding))
    assert re.findall(r"[^\P{Cc}\n\t\r\b]".replace(r"\P{Cc}", r"\x20-\x7e\xa0-\U0010ffff"), text) == []


@given(pieces=PIECES)
def test_it_does_not_matter_where_the_bytes_are_cut(pieces: list[bytes]) -> None:
    assert shown(*pieces) == shown(b"".join(pieces))


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t\r\b")))
def test_text_stays_as_it_is(text: str) -> None:
    assert shown(text.encode()) == text.encode()


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        (b"\x1b[1;31mred\x1b[0m\n", b"\x1b[1;31mred\x1b[0m\n\x1b[0m"),
        (b" 50%|###   |\r\x1b[K100%\n", b" 50%|###   |\r\x1b[K100%\n"),
        (b"\x1b[2J\x1b[H", b"^[[2J^[[H"),
        (b"\x1b]0;title\x07", b"^[]0;title^G"),
        (b"\x1b[6n\x05", b"^[[6n^E"),
        (b"\xff\x00\x7f", b"\\xff^@^?"),
        (b"\xc2\x9b31m", b"\\u009b31m"),
        ("é".encode()[:1], b"\\xc3"),
        (b"end \x1b", b"end ^["),
    ],
)
def test_what_is_shown_instead(written: bytes, wanted: bytes) -> None:
    assert shown(written) == wanted


def test_what_is_whole_is_not_held_back() -> None:
    text = TerminalText("utf-8")
    assert text.feed(b"Epoch 1: \x1b[") == b"Epoch 1: "
    assert text.feed(b"32mgood") == b"\x1b[32mgood"
    assert text.finish() == b"\x1b[0m"
    assert text.finish() == b""


def test_an_endless_sequence_is_not_held_back_for_ever() -> None:
    text = TerminalText("utf-8")
    assert len(text.feed(b"\x1b[" + b"1;" * 10_000)) > 10_000
