"""Builds the coverage matrix: every planned row in every channel, with a verdict and the evidence for it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from harness import catalogue
from harness.analyse.delay import delay_seconds, summarise
from harness.analyse.fields import examine
from harness.analyse.join import Joiner
from harness.analyse.payload import recover
from harness.analyse.payload import summarise as summarise_payload
from harness.model import ACTOR, Call, Cell, CellKey, Role, Verdict


def absence_is_established(
    call: Call,
    controls: Sequence[tuple[Call, bool]],
    now: datetime,
    absence_seconds: float,
    logged_since: Mapping[str, datetime | None],
) -> str | None:
    """Decide whether a missing record may be called absent (docs/architecture.md, rule 4).

    Args:
        call: The call without a record.
        controls: Control calls of the channel, each with whether its record has arrived.
        now: The last time that the channel was polled.
        absence_seconds: How long a record of the channel may be on its way.
        logged_since: As ``logged_since`` returns it, of a channel that is switched on bucket by bucket; else empty.

    Returns:
        None when it may; else what is still missing.
    """
    # Only the nearest ones speak for the time of the call: controls that are lost around it mean that the channel was
    # not delivering then, however many far away have arrived.
    before = max(((c.sent_at, came) for c, came in controls if c.sent_at <= call.sent_at), default=(None, False))[1]
    after = min(((c.sent_at, came) for c, came in controls if c.sent_at > call.sent_at), default=(None, False))[1]
    if not before:
        return "no control call from before it has arrived"
    if not after:
        return "no control call from after it has arrived"
    if call.bucket and call.bucket in logged_since:
        since = logged_since[call.bucket]
        if since is None or since > call.sent_at:
            return "no record of an earlier call to its bucket shows that the bucket was logged"
    waited = (now - call.completed_at).total_seconds()
    if waited < absence_seconds:
        return f"waited {_span(waited)} of the {_span(absence_seconds)} that a record may take"
    return None


def was_received(call: Call) -> bool:
    """Tell whether it is known that a call reached S3: it was answered, or S3 makes it by itself."""
    return call.status is not None or call.method == ACTOR


def controls_of(channel: str, calls: Iterable[Call], joiner: Joiner) -> list[tuple[Call, bool]]:
    """Return the control calls that a channel should show, each with whether its record has arrived.

    One that may never have reached S3 says nothing of the channel.
    """
    seen = [(c, bool(joiner.pairs(c, channel))) for c in calls if c.role is Role.CONTROL]
    return [(c, came) for c, came in seen if came or (was_received(c) and c.expected.get(channel, 1))]


def logged_since(
    channel: str, calls: Iterable[Call], joiner: Joiner, buckets: Iterable[str]
) -> dict[str, datetime | None]:
    """Return for each bucket when the first call to it was sent whose record has arrived; None where none has."""
    since: dict[str, datetime | None] = dict.fromkeys(buckets)
    for call in calls:
        if call.bucket in since and since[call.bucket] is None and joiner.pairs(call, channel):
            since[call.bucket] = call.sent_at
    return since


def build(
    planned: Mapping[CellKey, tuple[int, str]],
    failures: Mapping[CellKey, str],
    joiner: Joiner,
    calls: Sequence[Call],
    channels: Mapping[str, float],
    polled_at: Mapping[str, datetime],
    by_bucket: Mapping[str, Collection[str]],
) -> list[Cell]:
    """Return one cell for each planned row and channel.

    Args:
        planned: Repeats per row (0: not run) and the reason.
        failures: Why an execution of a row failed, where one did.
        joiner: Has taken every record.
        calls: Every call of the run.
        channels: Per channel, how long a record may be on its way, in seconds.
        polled_at: When each channel was last polled to the end.
        by_bucket: For each channel that is switched on bucket by bucket, the buckets beside the main one.
    """
    subjects: defaultdict[CellKey, list[Call]] = defaultdict(list)
    for call in calls:
        if call.role is Role.SUBJECT and call.cell:
            subjects[call.cell].append(call)
    cells = []
    for channel, absence_seconds in channels.items():
        controls = controls_of(channel, calls, joiner)
        since = logged_since(channel, calls, joiner, by_bucket.get(channel, ()))
        for key, (repeats, why_not) in planned.items():
            sent = subjects.get(key, [])
            # A request without an answer may never have arrived: only its record proves that it did.
            made = [c for c in sent if was_received(c) or joiner.pairs(c, channel)]
            if not repeats or not made:
                reason = why_not or failures.get(key) or ("no call was answered" if sent else "no call was made")
                cells.append(_not_run(key, channel, reason))
                continue
            missing: dict[str, int] = Counter()
            for call in made:
                # Also of a call with some of its records: the others may be on their way.
                if len(joiner.pairs(call, channel)) < max(1, call.expected.get(channel, 1)):
                    now = polled_at.get(channel, call.sent_at)
                    open_question = absence_is_established(call, controls, now, absence_seconds, since)
                    if open_question:
                        missing[open_question] += 1
            notes = [failures.get(key, "")]
            if len(made) < len(sent):
                notes.append(f"{len(sent) - len(made)} without an answer or a record left out")
            why = "; ".join(filter(None, notes))
            cells.append(_cell(key, channel, made, joiner, dict(missing), why, absence_seconds))
    return cells


def not_set_up(planned: Iterable[CellKey], skipped: Mapping[str, str]) -> list[Cell]:
    """Return the cells of the channels that could not be set up: every planned row, with the reason."""
    return [
        _not_run(key, channel, f"the channel could not be set up: {reason}")
        for channel, reason in skipped.items()
        for key in planned
    ]


def _not_run(key: CellKey, channel: str, reason: str) -> Cell:
    return Cell(operation=key.operation, variant=key.variant, channel=channel, verdict=Verdict.NOT_RUN, reason=reason)


def _cell(
    key: CellKey,
    channel: str,
    made: Sequence[Call],
    joiner: Joiner,
    open_questions: Mapping[str, int],
    failure: str,
    absence_seconds: float,
) -> Cell:
    of_call = {call.number: joiner.pairs(call, channel) for call in made}
    pairs = [pair for each in of_call.values() for pair in each]
    logged = sum(1 for each in of_call.values() if each)
    expected = sum(call.expected.get(channel, 1) for call in made)
    short = [c for c in made if 0 < len(of_call[c.number]) < c.expected.get(channel, 1)]
    reasons = []
    if open_questions:
        verdict = Verdict.PENDING
        reasons.append("; ".join(f"{n} of {len(made)} calls: {why}" for why, n in open_questions.items()))
    elif not logged:
        verdict = Verdict.NOT_OBSERVED
        # Rule of three: 0 of n seen bounds the logged share at 95 %.
        bound = f", so the logged share is below {min(1.0, 3 / len(made)):.0%} (95 %)" if len(made) > 3 else ""
        reasons.append(f"0 of {len(made)} within {_span(absence_seconds)}, controls before and after arrived{bound}")
    elif logged < len(made) or short:
        verdict = Verdict.PARTLY
        reasons.append(f"{logged} of {len(made)} calls logged, {len(pairs)} of {expected} records")
    else:
        verdict = Verdict.LOGGED
    if verdict is Verdict.LOGGED and len(pairs) > expected:
        reasons.append(f"{len(pairs)} records, {expected} declared")
    if failure:
        reasons.append(f"the call failed: {failure}" if _failed(made) else failure)
    fields, wrong = examine(channel, pairs)
    operation = catalogue.find(key.operation)
    name = key.operation.removeprefix(catalogue.CONTROL_PREFIX)
    recoveries = [
        recover(name, c.sent, *(p.record for p in of_call[c.number]), service=operation.service if operation else "s3")
        for c in made
        if of_call[c.number]
    ]
    delays = [min(delay_seconds(pair) for pair in each) for each in of_call.values() if each]
    return Cell(
        operation=key.operation,
        variant=key.variant,
        channel=channel,
        verdict=verdict,
        calls=len(made),
        logged=logged,
        records=len(pairs),
        expected=expected,
        duplicates=sum(len(pair.deliveries) - 1 for pair in pairs),
        names=_counts(pair.record.name for pair in pairs),
        statuses=_counts(f"{c.status} {c.error_code}" if c.error_code else str(c.status) for c in made),
        fields=fields,
        wrong=wrong,
        payload=summarise_payload(recoveries),
        joins=_counts(pair.way for pair in pairs),
        delay=summarise(delays),
        reason="; ".join(reasons),
    )


def _failed(made: Sequence[Call]) -> bool:
    return any(call.status is None or call.status >= 400 for call in made)


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(str(v) for v in values).items()))


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
