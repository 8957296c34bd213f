"""The environment that a run gets: the client's own."""

from __future__ import annotations

import os

from runctl.places import absolute

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping


def sent_environment(environ: Mapping[bytes, bytes], *, first: str | None) -> dict[str, str | bytes]:
    """``environ`` as the wire has it: values as text, or as bytes where they are not UTF-8.

    ``first``, a folder, is put before all others in PATH.  A variable whose name is not UTF-8 is left out: the wire's
    maps have text as keys.
    """
    sent: dict[str, str | bytes] = {}
    for name, value in environ.items():
        try:
            text = name.decode()
        except UnicodeDecodeError:
            continue
        sent[text] = _text_or_bytes(value)
    if first is not None:
        path = environ.get(b"PATH", b"")
        sent["PATH"] = _text_or_bytes(os.fsencode(first) + (b":" + path if path else b""))
    return sent


def _text_or_bytes(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def interpreter_folder(program: str, path: str) -> str | None:
    """The folder of ``program`` if it is a virtual environment's that ``path`` lacks: one that was not activated.

    So ``.venv/bin/runctl run x.py`` runs with ``.venv/bin/python3``, as it would after activation.
    """
    folder = absolute(program).rpartition("/")[0]
    if folder in path.split(":") or not os.access(f"{folder}/python3", os.X_OK):
        return None
    return folder
