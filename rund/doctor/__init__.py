"""Looks a home over, says what is wrong and what to do, mends what is safe, and puts a backup in place."""
