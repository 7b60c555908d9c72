"""Turns calls and records into cells: pairing, counting, delay, verdict."""
