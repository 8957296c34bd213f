"""The machine of the process tests, for faults of the whole."""

from tests.process.conftest import batches, machine, served

__all__ = ["batches", "machine", "served"]
