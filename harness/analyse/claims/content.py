"""Checks of claims that say what a record holds: fields, parameters, quoting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from harness.analyse.claims.answers import ClaimCheck, confirmed, contradicted, row, together, undetermined
from harness.analyse.join import Pair
from harness.analyse.verify import Answer, Seen
from harness.catalogue.fields import is_related
from harness.model import CLOUDTRAIL, SERVER_ACCESS

ENOUGH = 20
"""Records without a field after which it is said to be missing."""
ACLS = ("PutObjectAcl", "PutBucketAcl")
LOCKS = ("PutObjectRetention", "PutObjectLegalHold", "PutObjectLockConfiguration")
ONE_ACCOUNT = (
    ("PutBucketAcl", "ok"),
    ("PutObjectAcl", "ok"),
    ("PutObject", "canned-acl"),
    ("PutObject", "ok"),
    ("GetObject", "ok"),
    ("ListObjectsV2", "ok"),
    ("DeleteObject", "ok"),
)
NOT_COUNTED = (None, "bucket-owner-full-control")
"""Canned ACLs that do not count as setting one (S3 User Guide, ACL overview, aclRequired values, April 2026)."""
ACL_FIELDS = {SERVER_ACCESS: "acl_required", CLOUDTRAIL: "additionalEventData.aclRequired"}
SIZES_AND_TIMES = ("objectSize", "turnAroundTime", "startTime", "endTime")
SESSION_FIELDS = (
    "request_uri",
    "requester",
    "bucket",
    "key",
    "bytes_sent",
    "object_size",
    "total_time",
    "turn_around_time",
    "authentication_type",
)


def _own(seen: Seen, channel: str) -> list[Pair]:
    found = (pair for (_, _, where), pairs in seen.pairs.items() if where == channel for pair in pairs)
    return [pair for pair in found if not is_related(pair.record)]


def _have(pairs: Sequence[Pair], name: str) -> list[Pair]:
    return [pair for pair in pairs if pair.record.fields.get(name) is not None]


def _present(seen: Seen, channel: str, names: Sequence[str]) -> Answer:
    """Say whether each field has a value in some record of a channel."""
    own = _own(seen, channel)
    if not own:
        return undetermined(f"the run has no records of {channel}")
    lacking = [name for name in names if not _have(own, name)]
    if not lacking:
        return confirmed(f"{channel} has {', '.join(names)}", own[:1])
    why = f"none of {len(own)} records of {channel} has {', '.join(lacking)}"
    return contradicted(why, own[:1]) if len(own) >= ENOUGH else undetermined(why)


def only_in_access_log(seen: Seen, lines: Sequence[str], events: Sequence[str]) -> Answer:
    """Say whether the access log has some fields, and CloudTrail nothing like them."""
    own = _own(seen, CLOUDTRAIL)
    if not own:
        return together(_present(seen, SERVER_ACCESS, lines), undetermined("the run has no records of cloudtrail"))
    found = {name: _have(own, f"additionalEventData.{name}") for name in events}
    named = [name for name, pairs in found.items() if pairs]
    absent = confirmed(f"cloudtrail has none of {', '.join(events)}")
    if named:
        absent = contradicted(f"cloudtrail has additionalEventData.{', '.join(named)}", found[named[0]][:1])
    return together(_present(seen, SERVER_ACCESS, lines), absent)


def _told(seen: Seen, operation: str, channel: str, *, whole: bool) -> Answer:
    """Say whether a record tells all (``whole``), or nothing, of what its call asked for."""
    logged, why = row(seen, operation, channel)
    cell = seen.cell(operation, channel)
    if not logged or cell is None:
        return undetermined(why)
    if cell.payload is None:
        return undetermined(f"{operation} asked for nothing that could be told")
    share = f"{operation} in {channel}: {cell.payload['recovered']} of {cell.payload['sent']} parameters"
    agrees = cell.payload["recovered"] == (cell.payload["sent"] if whole else 0)
    return (confirmed if agrees else contradicted)(share, seen.own_records(operation, channel))


def lock_and_select(seen: Seen) -> Answer:
    """AWS-10."""
    names = (*LOCKS, "SelectObjectContent")
    events = [_told(seen, name, CLOUDTRAIL, whole=True) for name in names]
    return together(*events, *(_told(seen, name, SERVER_ACCESS, whole=False) for name in names))


def acl_in_line(seen: Seen) -> Answer:
    """NS-03."""
    return together(*(_told(seen, name, SERVER_ACCESS, whole=False) for name in ACLS))


def acl_in_event(seen: Seen) -> Answer:
    """NS-07."""
    return together(*(_told(seen, name, CLOUDTRAIL, whole=True) for name in ACLS))


def acl_required(seen: Seen) -> Answer:
    """AWS-31, as far as one account can say: requests that set an ACL, and the owner's own, which need none."""
    wrong, right = {}, 0
    for channel, name in ACL_FIELDS.items():
        for operation, variant in ONE_ACCOUNT:
            for pair in seen.own_records(operation, channel, variant):
                sets_acl = operation in ACLS or pair.call.sent.get("ACL") not in NOT_COUNTED
                told = pair.record.fields.get(name)
                if told == ("Yes" if sets_acl else None):
                    right += 1
                else:
                    wrong[f"{operation}[{variant}] in {channel}: {told or 'nothing'}"] = pair
    if wrong:
        return contradicted("; ".join(wrong), wrong.values())
    return undetermined(f"{right} records of one account agree; the cases between accounts need a second account")


def field_count(seen: Seen) -> Answer:
    """NS-02."""
    own = _own(seen, SERVER_ACCESS)
    counts = Counter(pair.record.fields.get("field_count") for pair in own)
    if not counts:
        return undetermined("the run has no records of server-access")
    told = ", ".join(f"{n} lines have {count}" for count, n in counts.most_common())
    return confirmed(told, own[:1]) if set(counts) == {24} else contradicted(told, own[:1])


def quotes(seen: Seen) -> Answer:
    """NS-04."""
    rows = [key for key in seen.pairs if key[1] in ("user-agent-quotes", "referer-quotes") and key[2] == SERVER_ACCESS]
    agents = [pair for key in rows for pair in seen.pairs[key] if '"' in pair.call.user_agent]
    if not agents:
        return undetermined("no call of the run has quotes in its user agent")
    bare = [pair for pair in agents if pair.call.user_agent in pair.record.raw]
    if bare:
        return contradicted(
            f"{len(bare)} of {len(agents)} lines have the quotes of a user agent as they were sent", bare
        )
    return confirmed(f"the quotes in {len(agents)} user agents are changed", agents)


def places(seen: Seen) -> Answer:
    """NS-14."""
    own = _own(seen, CLOUDTRAIL)
    if not own:
        return undetermined("the run has no records of cloudtrail")
    wanted = ("requestParameters", "additionalEventData", "resources")
    counts = {w: sum(1 for p in own if any(name.startswith(w) for name in p.record.fields)) for w in wanted}
    told = ", ".join(f"{name} in {n} of {len(own)} events" for name, n in counts.items())
    return confirmed(told, own[:1]) if all(counts.values()) else contradicted(told, own[:1])


def useful_fields(seen: Seen) -> Answer:
    """NS-15."""
    lines = seen.own_records("ListObjectsV2", SERVER_ACCESS)
    if not lines:
        return undetermined(row(seen, "ListObjectsV2", SERVER_ACCESS)[1])
    typed = [pair for pair in lines if "list-type=2" in str(pair.record.fields.get("request_uri"))]
    if len(typed) < len(lines):
        return contradicted("a line of ListObjectsV2 has no list-type", [pair for pair in lines if pair not in typed])
    return together(confirmed("list-type in the request URI", typed), _present(seen, SERVER_ACCESS, ("bucket", "key")))


CHECKS: Mapping[str, ClaimCheck] = {
    "AWS-10": lock_and_select,
    "AWS-11": partial(
        only_in_access_log,
        lines=("object_size", "total_time", "turn_around_time", "referer"),
        events=(*SIZES_AND_TIMES, "referer"),
    ),
    "AWS-31": acl_required,
    "NS-02": field_count,
    "NS-03": acl_in_line,
    "NS-04": quotes,
    "NS-07": acl_in_event,
    "NS-14": places,
    "NS-15": useful_fields,
    "NS-19": partial(
        only_in_access_log,
        lines=("object_size", "bytes_sent", "total_time"),
        events=("objectSize", "bytesTransferredIn", "bytesTransferredOut", "turnAroundTime"),
    ),
    "NS-23": partial(_present, channel=SERVER_ACCESS, names=SESSION_FIELDS),
}
