"""Public samples of real and documented records; they stand beside the repository and are no part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.formats import cloudtrail, server_access

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "samples"

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the public samples are not beside this repository")


def test_nearly_every_server_access_sample_line_is_a_record_and_the_others_say_why():
    records = lines = 0
    rejects: list[str] = []
    for path in sorted((SAMPLES / "server-access").iterdir()):
        data = path.read_bytes()
        parsed = server_access.parse(data)
        records += len(parsed.records)
        lines += sum(1 for line in data.split(b"\n") if line.strip())
        rejects += [f"{path.name}:{reject.offset}: {reject.reason}" for reject in parsed.rejects]
        for record in parsed.records:
            assert record.event_time is not None, record.raw
            assert 17 <= int(record.fields["field_count"] or 0) <= 27, record.raw
            assert record.name.split(".")[0] in {"REST", "BATCH", "SOAP", "WEBSITE", "S3"}, record.raw
    print(f"{lines} lines, {records} records, {len(rejects)} rejects", *rejects, sep="\n")
    assert records + len(rejects) == lines
    # Lines into which a test suite has glued several records.
    assert {reject.rpartition(":")[0] for reject in rejects} == {
        "noobaa__noobaa-core.log:11",
        "noobaa__noobaa-core.log:13",
    }


def test_every_cloudtrail_sample_is_a_record():
    total = 0
    for path in sorted((SAMPLES / "cloudtrail").iterdir()):
        data = path.read_bytes()
        parsed = cloudtrail.parse(data)
        assert parsed.rejects == (), path.name
        assert [record.raw for record in parsed.records] == data.decode().split("\n")[: len(parsed.records)]
        assert len(parsed.records) == sum(1 for line in data.split(b"\n") if line.strip())
        total += len(parsed.records)
    print(f"{total} records")
    assert total
