"""rund: a daemon that owns a store of runs and executes them, many at a time."""

__version__ = "0.1.0"
