"""Executes scenarios, and journals every HTTP attempt that they make."""
