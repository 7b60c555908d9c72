"""Checks of claims that say what is logged at all, and under which name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.analyse.claims.answers import (
    ClaimCheck,
    api,
    confirmed,
    contradicted,
    every,
    row,
    together,
    undetermined,
    variants,
)
from harness.analyse.join import Pair
from harness.analyse.verify import Answer, ClaimVerdict, Key, Seen, check_table, field, was_seen
from harness.catalogue.documented import Claim, Confidence, table
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Level

COPIES = ("CopyObject", "UploadPartCopy")
FAMILIES = ("Metrics", "Inventory", "Analytics")
UNAUTHENTICATED = ("bad-signature", "unknown-key", "presigned-tampered")
REFUSED = ("denied", "anonymous")
LOGGED_BUCKET = {"CreateBucket": "already-owned", "DeleteBucket": "not-empty"}
"""Variants whose bucket exists before and after the call, so that its logging holds."""


def _as_row(
    seen: Seen, channel: str, operation: str, *, logged: bool = True, name: str = "", category: str = ""
) -> Answer:
    claim = Claim(id="", channel=channel, operation=operation, logged=logged, name=name, category=category)
    answer = check_table((claim,), seen, "", whole=False)[0].answer
    return replace(answer, why="; ".join(filter(None, (answer.why, answer.seen))), seen="")


def _ok(operations: Iterable[str], channel: str) -> list[Key]:
    return [(operation, "ok", channel) for operation in operations]


def object_operations(seen: Seen) -> Answer:
    """AWS-07."""
    names = list(api(Level.OBJECT))
    parts = [every(seen, _ok(names, c), f"object operations in {c}") for c in (SERVER_ACCESS, CLOUDTRAIL)]
    return together(*parts)


def bucket_operations(seen: Seen) -> Answer:
    """AWS-08."""
    names = list(api(Level.BUCKET))
    lines = [(name, LOGGED_BUCKET.get(name, "ok"), SERVER_ACCESS) for name in names]
    events = every(seen, _ok(names, CLOUDTRAIL), "bucket operations in cloudtrail")
    return together(every(seen, lines, "bucket operations in server-access"), events)


def lifecycle_actions(seen: Seen) -> Answer:
    """AWS-12."""
    actions = ("LifecycleExpiration", "LifecycleTransition")
    lines = [key for key in seen.cells if key[0] in actions and key[2] == SERVER_ACCESS]
    events = [key for key in seen.cells if key[0] in actions and key[2] == CLOUDTRAIL]
    absent = every(seen, events, "lifecycle actions in cloudtrail", logged=False)
    return together(every(seen, lines, "lifecycle actions in server-access"), absent)


def _members(seen: Seen, channel: str) -> list[Pair]:
    """The records of the single keys of a batch delete."""
    name = "BATCH.DELETE.OBJECT" if channel == SERVER_ACCESS else "DeleteObject"
    return [pair for pair in seen.records("DeleteObjects", channel) if pair.record.name == name]


def batch_keys(seen: Seen) -> Answer:
    """AWS-13."""
    parts = []
    for channel in (SERVER_ACCESS, CLOUDTRAIL):
        logged, why = row(seen, "DeleteObjects", channel)
        sent = {
            v for c in seen.calls.get(("DeleteObjects", "ok"), ()) for k, v in c.sent.items() if k.endswith("].Key")
        }
        found = _members(seen, channel)
        keys = {pair.record.key for pair in found}
        if logged is None:
            parts.append(undetermined(why))
        elif not sent:
            parts.append(undetermined("the run does not say which keys were deleted"))
        elif sent <= keys:
            parts.append(confirmed(f"{len(sent)} of {len(sent)} keys in {channel}", found))
        else:
            why = f"{len(sent - keys)} of {len(sent)} keys are not in {channel}"
            parts.append(contradicted(why, seen.records("DeleteObjects", channel)))
    return together(*parts)


def failed_authentication(seen: Seen) -> Answer:
    """AWS-14."""
    names = api(Level.BUCKET, Level.OBJECT)
    lines = variants(seen, names, SERVER_ACCESS, *UNAUTHENTICATED)
    events = variants(seen, names, CLOUDTRAIL, *UNAUTHENTICATED)
    what = "unauthenticated requests in"
    absent = every(seen, events, f"{what} cloudtrail", logged=False)
    return together(every(seen, lines, f"{what} server-access"), absent)


def refused_and_anonymous(seen: Seen) -> Answer:
    """AWS-15."""
    names = api(*Level)
    parts = [every(seen, variants(seen, names, CLOUDTRAIL, v), f"{v} requests in cloudtrail") for v in REFUSED]
    return together(*parts)


def redirected(seen: Seen) -> Answer:
    """AWS-16."""
    rows = [k for k, c in seen.cells.items() if k[2] == CLOUDTRAIL and any(s.startswith("301") for s in c.statuses)]
    if not rows:
        return undetermined("no call of the run was answered by 301")
    return every(seen, rows, "redirected requests in cloudtrail", logged=False)


def malformed(seen: Seen) -> Answer:
    """AWS-25."""
    return _as_row(seen, SERVER_ACCESS, "MalformedRequest", logged=False)


def printed_names(seen: Seen) -> Answer:
    """AWS-26: every row of the list that names an event."""
    rows = [
        c for c in table("aws-2026") if c.channel == CLOUDTRAIL and c.name and c.confidence is Confidence.DOCUMENTED
    ]
    checks = check_table(rows, seen, "", whole=False)
    of = {verdict: [c for c in checks if c.verdict is verdict] for verdict in ClaimVerdict}
    wrong, right = of[ClaimVerdict.CONTRADICTED], of[ClaimVerdict.CONFIRMED]
    if wrong:
        told = "; ".join(f"{c.claim.text}: {c.answer.seen}" for c in wrong[:5])
        evidence = tuple(e for c in wrong for e in c.answer.evidence)
        why = f"{len(wrong)} of {len(wrong) + len(right)} names are others: {told}"
        return Answer(verdict=ClaimVerdict.CONTRADICTED, why=why, evidence=evidence)
    if 2 * len(right) < len(rows):
        return undetermined(f"only {len(right)} of {len(rows)} names were measured")
    return confirmed(f"{len(right)} of {len(right)} names that were measured ({len(rows)} are listed)")


def head_bucket(seen: Seen) -> Answer:
    """AWS-27."""
    return _as_row(seen, CLOUDTRAIL, "HeadBucket", name="HeadBucket", category="data")


def preflight(seen: Seen) -> Answer:
    """AWS-28."""
    return _as_row(seen, CLOUDTRAIL, "CorsPreflight", category="management")


def event_per_key(seen: Seen) -> Answer:
    """AWS-29."""
    logged, why = row(seen, "DeleteObjects", CLOUDTRAIL)
    if logged is None:
        return undetermined(why)
    found = _members(seen, CLOUDTRAIL)
    marked = [pair for pair in found if field(pair.record, "eventType") == "AwsServiceEvent"]
    if found and len(marked) == len(found):
        return confirmed(f"{len(found)} DeleteObject events, all of eventType AwsServiceEvent", found)
    why = f"{len(marked)} of {len(found)} DeleteObject events are of eventType AwsServiceEvent"
    return contradicted(
        why, [pair for pair in found if pair not in marked] or seen.records("DeleteObjects", CLOUDTRAIL)
    )


def directory_buckets(seen: Seen) -> Answer:
    """AWS-34."""
    names = ("CreateSession", "RenameObject")
    absent = every(seen, _ok(names, SERVER_ACCESS), "directory bucket operations in server-access", logged=False)
    return together(every(seen, _ok(names, CLOUDTRAIL), "directory bucket operations in cloudtrail"), absent)


def one_line(seen: Seen) -> Answer:
    """NS-01."""
    parts = []
    for name in COPIES:
        logged, why = row(seen, name, SERVER_ACCESS)
        lines = seen.records(name, SERVER_ACCESS)
        told = " and ".join(dict.fromkeys(pair.record.name for pair in lines))
        if not logged:
            parts.append(undetermined(why))
        elif any(pair.record.name.startswith("REST.DELETE.") for pair in lines):
            parts.append(confirmed(f"{name}: {told}", lines))
        else:
            parts.append(contradicted(f"{name} leaves {told}, no delete", lines))
    names = [name for name in api(Level.BUCKET, Level.OBJECT) if name not in COPIES]
    several = [name for name in names if len(seen.records(name, SERVER_ACCESS)) > _calls_logged(seen, name)]
    if several:
        lines = [pair for name in several for pair in seen.records(name, SERVER_ACCESS)]
        parts.append(contradicted(f"{', '.join(several)} leaves several lines", lines))
    elif any(was_seen(seen.cell(name, SERVER_ACCESS)) for name in names):
        parts.append(confirmed("every other operation leaves one line"))
    else:
        parts.append(undetermined("no other operation was measured"))
    return together(*parts)


def _calls_logged(seen: Seen, operation: str) -> int:
    cell = seen.cell(operation, SERVER_ACCESS)
    return cell.logged if cell else 0


def buckets_themselves(seen: Seen) -> Answer:
    """NS-05."""
    rows = _ok(("ListBuckets", "CreateBucket", "DeleteBucket"), SERVER_ACCESS)
    return every(seen, rows, "of listing, creating and deleting a bucket", logged=False)


def every_call(seen: Seen) -> Answer:
    """NS-06."""
    return every(seen, _ok(api(*Level), CLOUDTRAIL), "operations in cloudtrail")


def beyond_the_list(seen: Seen) -> Answer:
    """NS-08 and NS-12: event names that CloudTrail delivers and AWS's page does not have."""
    listed = {c.name for c in table("aws-2026") if c.channel == CLOUDTRAIL and c.confidence is Confidence.DOCUMENTED}
    names = api(*Level)
    own = [pair for name in names for pair in seen.own_records(name, CLOUDTRAIL)]
    beyond = [pair for pair in own if pair.record.name not in listed]
    if beyond:
        told = ", ".join(dict.fromkeys(pair.record.name for pair in beyond))
        return confirmed(f"delivered, and not in the list of 2026: {told}", beyond)
    measured = sum(1 for name in names if was_seen(seen.cell(name, CLOUDTRAIL)))
    if 2 * measured < len(names):
        return undetermined(f"{measured} of {len(names)} operations were measured")
    return contradicted(f"all {measured} operations that were delivered are in the list of 2026", own)


def three_families(seen: Seen) -> Answer:
    """NS-09."""
    verbs = [f"{verb}Bucket{family}Configuration" for family in FAMILIES for verb in ("Get", "Put", "Delete")]
    names = [*verbs, *(f"ListBucket{family}Configurations" for family in FAMILIES)]
    return every(seen, _ok(names, CLOUDTRAIL), "metrics, inventory and analytics calls in cloudtrail", logged=False)


def form_upload(seen: Seen) -> Answer:
    """NS-10."""
    return _as_row(seen, CLOUDTRAIL, "BrowserPost", name="PutObject")


def get_and_list(seen: Seen) -> Answer:
    """NS-11."""
    parts = []
    for family in FAMILIES:
        one, many = f"GetBucket{family}Configuration", f"ListBucket{family}Configurations"
        lines = [seen.own_records(name, SERVER_ACCESS) for name in (one, many)]
        if not all(lines):
            name = many if lines[0] else one
            parts.append(undetermined(row(seen, name, SERVER_ACCESS)[1]))
            continue
        names = {pair.record.name for found in lines for pair in found}
        ids = [["id=" in str(pair.record.fields.get("request_uri")) for pair in found] for found in lines]
        told = f"{one} and {many} are {' and '.join(sorted(names))}"
        if len(names) == 1 and all(ids[0]) and not any(ids[1]):
            parts.append(confirmed(f"{told}, told apart by the id", [*lines[0], *lines[1]]))
        else:
            parts.append(contradicted(told, [*lines[0], *lines[1]]))
    return together(*parts)


def not_available(seen: Seen) -> Answer:
    """NS-13: which calls were meant is lost, so that none being absent proves nothing."""
    names = api(*Level)
    absent = [name for name in names if was_seen(seen.cell(name, CLOUDTRAIL)) is False]
    if absent:
        return confirmed(f"no event of {', '.join(absent)}")
    measured = sum(1 for name in names if was_seen(seen.cell(name, CLOUDTRAIL)))
    return undetermined(f"all {measured} operations that ran left an event; which ones the article meant is lost")


CHECKS: Mapping[str, ClaimCheck] = {
    "AWS-07": object_operations,
    "AWS-08": bucket_operations,
    "AWS-12": lifecycle_actions,
    "AWS-13": batch_keys,
    "AWS-14": failed_authentication,
    "AWS-15": refused_and_anonymous,
    "AWS-16": redirected,
    "AWS-25": malformed,
    "AWS-26": printed_names,
    "AWS-27": head_bucket,
    "AWS-28": preflight,
    "AWS-29": event_per_key,
    "AWS-34": directory_buckets,
    "NS-01": one_line,
    "NS-05": buckets_themselves,
    "NS-06": every_call,
    "NS-08": beyond_the_list,
    "NS-09": three_families,
    "NS-10": form_upload,
    "NS-11": get_and_list,
    "NS-12": beyond_the_list,
    "NS-13": not_available,
}
