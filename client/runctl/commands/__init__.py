"""The commands: each module holds one, or a family, and a table ``COMMANDS`` of them by name."""
