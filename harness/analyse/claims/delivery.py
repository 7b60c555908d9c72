"""Checks of claims about how records get there: delay, loss, file names, other channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import median

from harness.analyse.claims.answers import ClaimCheck, confirmed, contradicted, together, undetermined
from harness.analyse.delay import delay_seconds
from harness.analyse.join import Pair
from harness.analyse.verify import Answer, Seen, field
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Verdict

ENOUGH = 20
"""Records below which nothing is said of delays."""
MINUTE_SECONDS = 60.0
HOUR_SECONDS = 3600.0
FEW_HOURS_SECONDS = 6 * HOUR_SECONDS
"""What "within a few hours" is taken to mean."""
_STAMP = r"\d{4}(?:-\d\d){5}-[0-9A-Za-z]+"
SIMPLE_KEY = re.compile(rf"s3://[^/]+/(?:.*?)({_STAMP})")
PARTITIONED_KEY = re.compile(rf"s3://[^/]+/(?:.*/)?\d{{12}}/[a-z0-9-]+/[a-z0-9.-]+/\d{{4}}/\d\d/\d\d/{_STAMP}")
TRAIL_KEY = re.compile(
    r"s3://[^/]+/(?:.*/)?AWSLogs/(?:o-[a-z0-9]+/)?(\d{12})/CloudTrail/([a-z0-9-]+)/\d{4}/\d\d/\d\d/"
    r"\1_CloudTrail_\2_\d{8}T\d{4}Z_[0-9A-Za-z]{16}\.json\.gz"
)


def _delays(seen: Seen, channel: str, category: str = "") -> list[tuple[float, Pair]]:
    """Delays of a channel's records, the longest first."""
    pairs = (pair for (_, _, where), found in seen.pairs.items() if where == channel for pair in found)
    wanted = [p for p in pairs if not category or str(field(p.record, "eventCategory")).lower() == category]
    return sorted(((delay_seconds(pair), pair) for pair in wanted), key=lambda each: -each[0])


def _too_few(delays: list[tuple[float, Pair]], what: str) -> Answer | None:
    return undetermined(f"{len(delays)} {what} are too few") if len(delays) < ENOUGH else None


def _typical(seen: Seen, channel: str, category: str, limit_seconds: float, what: str) -> Answer:
    delays = _delays(seen, channel, category)
    few = _too_few(delays, what)
    if few:
        return few
    middle = median(seconds for seconds, _ in delays)
    told = f"median of {len(delays)} {what}: {middle / MINUTE_SECONDS:.1f} minutes"
    slow = [pair for _, pair in delays[:1]]
    return confirmed(told, slow) if middle <= limit_seconds else contradicted(told, slow)


def speed(seen: Seen) -> Answer:
    """AWS-21: a statement about what is usual, so held against medians."""
    return together(
        _typical(seen, CLOUDTRAIL, "data", 5 * MINUTE_SECONDS, "data events"),
        _typical(seen, CLOUDTRAIL, "management", 15 * MINUTE_SECONDS, "management events"),
        _typical(seen, SERVER_ACCESS, "", FEW_HOURS_SECONDS, "access log records"),
    )


def lost(seen: Seen) -> Answer:
    """NS-16: a call without a record in a row that has records of others."""
    cells = [c for (_, _, channel), c in seen.cells.items() if channel == SERVER_ACCESS and c.logged]
    calls = sum(cell.calls for cell in cells)
    short = [cell for cell in cells if cell.verdict is Verdict.PARTLY]
    if short:
        told = ", ".join(f"{c.operation}[{c.variant}] ({c.reason})" for c in short[:5])
        pairs = [pair for c in short for pair in seen.records(c.operation, SERVER_ACCESS, c.variant)]
        return confirmed(f"records are missing of {told}", pairs)
    bound = f", so below {min(1.0, 3 / calls):.2%} are (95 %)" if calls > 3 else ""
    return undetermined(f"0 of {calls} calls of logged rows lack a record{bound}")


def best_effort(seen: Seen) -> Answer:
    """AWS-22."""
    doubled = [
        p for (_, _, c), found in seen.pairs.items() if c == SERVER_ACCESS for p in found if len(p.deliveries) > 1
    ]
    late = [pair for seconds, pair in _delays(seen, SERVER_ACCESS) if seconds > FEW_HOURS_SECONDS]
    missing = lost(seen)
    told = [f"{len(doubled)} records came twice"] * bool(doubled) + [f"{len(late)} came after six hours"] * bool(late)
    if told:
        return confirmed("; ".join(told), [*doubled, *late])
    return missing


def hours_later(seen: Seen) -> Answer:
    """NS-17."""
    delays = _delays(seen, SERVER_ACCESS)
    few = _too_few(delays, "access log records")
    if few:
        return few
    late = [pair for seconds, pair in delays if seconds > HOUR_SECONDS]
    told = f"{len(late)} of {len(delays)} records came more than an hour late"
    return confirmed(told, late) if 10 * len(late) >= len(delays) else contradicted(told, [delays[0][1]])


def within_twenty_minutes(seen: Seen) -> Answer:
    """NS-18."""
    delays = _delays(seen, CLOUDTRAIL)
    few = _too_few(delays, "events")
    if few:
        return few
    late = [pair for seconds, pair in delays if seconds > 20 * MINUTE_SECONDS]
    told = f"{len(late)} of {len(delays)} events came after more than 20 minutes"
    return contradicted(told, late) if 20 * len(late) > len(delays) else confirmed(told, [delays[0][1]])


def to_cloudwatch(seen: Seen) -> Answer:
    """AWS-01."""
    elsewhere = [channel for channel in seen.channels if channel.startswith(f"{SERVER_ACCESS}-")]
    found = [pair for (_, _, channel), pairs in seen.pairs.items() if channel in elsewhere for pair in pairs]
    if found:
        return contradicted(f"{len(found)} access log records came by {', '.join(elsewhere)}", found)
    return undetermined("the run has no channel that reads server access logs from CloudWatch Logs")


def event_history(seen: Seen) -> Answer:
    """AWS-30."""
    found = [p for (_, _, channel), pairs in seen.pairs.items() if channel == "cloudtrail-lookup" for p in pairs]
    if not found:
        return undetermined("the run has no records of the channel cloudtrail-lookup")
    data = [pair for pair in found if str(field(pair.record, "eventCategory")).lower() == "data"]
    return contradicted(f"{len(data)} data events", data) if data else confirmed(f"{len(found)} events, no data event")


def _strange(seen: Seen, channel: str, *forms: re.Pattern[str]) -> list[Pair]:
    pairs = (pair for (_, _, where), found in seen.pairs.items() if where == channel for pair in found)
    return [p for p in pairs if not any(form.fullmatch(p.deliveries[0].name) for form in forms)]


def log_object_keys(seen: Seen) -> Answer:
    """AWS-32."""
    names = [delivery.name for delivery in seen.deliveries.get(SERVER_ACCESS, ())]
    strange = _strange(seen, SERVER_ACCESS, SIMPLE_KEY, PARTITIONED_KEY)
    if strange:
        return contradicted(f"a key of another form: {strange[0].deliveries[0].name}", strange)
    partitioned = sum(1 for name in names if PARTITIONED_KEY.fullmatch(name))
    told = f"{len(names) - partitioned} simple and {partitioned} partitioned keys are as documented"
    return undetermined(f"{told}; a run uses one of the three forms")


def trail_file_names(seen: Seen) -> Answer:
    """AWS-33."""
    names = [delivery.name for delivery in seen.deliveries.get(CLOUDTRAIL, ())]
    if not names:
        return undetermined("the run has no files of cloudtrail")
    strange = _strange(seen, CLOUDTRAIL, TRAIL_KEY)
    if strange:
        return contradicted(f"a file of another name: {strange[0].deliveries[0].name}", strange)
    return confirmed(f"{len(names)} files, e.g. {names[0].rpartition('/')[2]}")


def write_access_by_acl(seen: Seen) -> Answer:
    """NS-21."""
    delivered = seen.deliveries.get(SERVER_ACCESS, ())
    buckets = {delivery.name.removeprefix("s3://").partition("/")[0] for delivery in delivered}
    if not buckets:
        return undetermined("the run has no access log objects")
    prepared = {c.operation for c in seen.own if c.bucket in buckets and c.status is not None and c.status < 300}
    if "PutBucketPolicy" not in prepared or "PutBucketAcl" in prepared:
        return undetermined("the log bucket was not prepared by a policy alone")
    told = f"{len(delivered)} log objects came into a bucket that has a policy and no ACL grant"
    first = [pair for (_, _, channel), pairs in seen.pairs.items() if channel == SERVER_ACCESS for pair in pairs][:1]
    return contradicted(told, first)


CHECKS: Mapping[str, ClaimCheck] = {
    "AWS-01": to_cloudwatch,
    "AWS-21": speed,
    "AWS-22": best_effort,
    "AWS-30": event_history,
    "AWS-32": log_object_keys,
    "AWS-33": trail_file_names,
    "NS-16": lost,
    "NS-17": hours_later,
    "NS-18": within_twenty_minutes,
    "NS-21": write_access_by_acl,
}
