"""Bytes of a delivery to records and rejects: pure functions, no I/O, nothing raised on hostile input."""
