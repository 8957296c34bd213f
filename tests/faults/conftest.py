"""The machine of the process tests, for faults of the whole."""

from tests.process.conftest import machine, served

__all__ = ["machine", "served"]
