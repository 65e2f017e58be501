"""Writes to the system of record: what each command does, and what comes of it."""
