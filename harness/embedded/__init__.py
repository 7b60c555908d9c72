"""AWS on this machine: an S3 and CloudTrail server on loopback that really delivers logs.

It proves the harness and never AWS. It shares no writer or parser code with ``harness.formats`` and no documented table
with ``harness.analyse``, so that one mistake cannot agree with itself; only the clock is common to both sides.
"""
