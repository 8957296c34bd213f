"""Pure values: runs, attempts, flags, statuses and events."""
