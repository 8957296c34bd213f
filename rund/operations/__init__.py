"""What an operation is: its flags, its source, its command line."""
