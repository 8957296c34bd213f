"""All that can be asked of the store, on one connection and thread."""

from __future__ import annotations

from rund.store.batches import BatchReader


class Reader(BatchReader):
    """Reads of one connection, which only one thread may use."""

    def snapshot(self) -> None:
        """Begin a read that sees one committed state until `release`."""
        self._connection.execute("BEGIN")

    def release(self) -> None:
        """End the read that `snapshot` began."""
        if self._connection.in_transaction:  # a failing disk has ended it already, and that is told
            self._connection.execute("COMMIT")

    def interrupt(self) -> None:
        """End what is being read, which raises an error there; called by another thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection, when no thread uses it any more."""
        self._connection.close()
