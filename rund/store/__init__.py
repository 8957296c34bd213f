"""The only SQLite: runs, attempts, events, replies; and the folders beside them."""
