"""Waits for records: one loop over all channels."""
