"""The command line loads the protocol at its start; what that costs is what it imports."""

from __future__ import annotations

import subprocess
import sys


def test_the_protocol_imports_nothing_slow() -> None:
    code = "import sys; before = set(sys.modules); import rund.protocol; print(*(set(sys.modules) - before))"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=60,
    ).stdout.split()
    slow = {
        "dataclasses",
        "enum",
        "typing",
        "re",
        "inspect",
        "logging",
        "asyncio",
        "anyio",
        "msgspec",
        "pathlib",
        "json",
    }
    assert slow.isdisjoint(loaded)
    assert {name for name in loaded if name.startswith("rund")} == {
        "rund",
        "rund.errors",
        "rund.protocol",
        "rund.protocol.connection",
        "rund.protocol.encoding",
        "rund.protocol.frame",
        "rund.protocol.limits",
        "rund.protocol.messages",
    }
