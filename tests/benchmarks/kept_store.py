"""Stores of many runs, kept between benchmarks: a million runs take ten minutes to write."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from rund.store.migrate import migrations
from tests.benchmarks import many_runs


def kept_store(folder: Path, runs: int) -> Path:
    """The database with so many runs in ``folder``, made anew if there is none of today's shape."""
    home = folder / f"runs-{runs}-{_shape()}"
    if not home.exists():
        half = home.with_name(f".half-{home.name}")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        many_runs.make_store(half, runs)
        half.rename(home)
    return home / "rund.db"


def _shape() -> str:
    """Equal while the same runs are written with the same schema."""
    written = [Path(many_runs.__file__).read_text("utf-8"), *migrations()]
    return hashlib.blake2b("\0".join(written).encode(), digest_size=4).hexdigest()
