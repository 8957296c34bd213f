"""The named queries of `queries.sql`."""

from __future__ import annotations

from importlib import resources


def _read() -> dict[str, str]:
    text = (resources.files("rund.store") / "queries.sql").read_text("utf-8")
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("-- name: "):
            name = line.removeprefix("-- name: ").strip()
            found[name] = []
        elif name and not line.startswith("--"):
            found[name].append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


QUERIES = _read()
RUN_COLUMNS = QUERIES["run_columns"]
ATTEMPT_COLUMNS = QUERIES["attempt_columns"]
