"""``delay.csv``, ``delay.json``, ``delay.md``: delay and loss per channel, region and class, with their intervals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.analyse.curve import CONFIDENCE, Measured
from harness.analyse.delays import ALL, DelayRow, Offset, clock_offset, pairs_of, rows
from harness.analyse.survival import QUANTILES, WITHIN_SECONDS
from harness.report import Result, provenance, without_channels
from harness.report.matrix_md import span
from harness.report.safe import markdown_cell, write_csv

SCHEMA_VERSION = 1
COUNTS = (
    "calls",
    "logged",
    "missing",
    "never_logged",
    "pending",
    "unanswered",
    "records",
    "files",
    "duplicates",
    "late",
    "out_of_order",
    "wrong_hour_arrival",
    "wrong_hour_event",
)
_QUANTILES = {share: f"p{100 * share:g}" for share in QUANTILES}
_WITHIN = {s: f"within_{s // 60}m" if s <= 3600 else f"within_{s // 3600}h" for s in WITHIN_SECONDS}
COLUMNS = (
    *("channel", "region", "category", "access"),
    *COUNTS,
    *("logged_share", "logged_share_low", "logged_share_high", "lost_below", "censored"),
    *(
        f"{name}{told}"
        for name in _QUANTILES.values()
        for told in ("_seconds", "_low_seconds", "_high_seconds", "_not_told")
    ),
    *("max_seconds", "max_low_seconds"),
    *(f"{name}{limit}" for name in _WITHIN.values() for limit in ("", "_low", "_high")),
    *("clock_offset_seconds", "clock_uncertainty_seconds", "target", "target_note", "clock_factor"),
)
DELAY_NAMES = (*_QUANTILES.values(), "longest")
LOSS_NAMES = ("logged", "lost, at 95 %", "missing", "pending", "duplicates", "late")
_UNITS = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
NOTES = (
    "A delay counts from a call's answer to the arrival of its record. What had not come when its channel was last"
    " polled counts as censored, so a quantile is one of all calls that should be logged. In brackets: the 95 %"
    " interval; it stands alone (`2.1 to 4.3 min`) where a number could be biased by more than 1 s and 1 %."
    " `> 2.0 h`: not estimable, but longer than that (97.5 %); `–`: nothing can be said, for too few calls or too short"
    " a wait. What is counted how, and how far to trust it: docs/measurement.md."
)


@lru_cache(maxsize=1)
def delay_rows(result: Result) -> list[DelayRow]:
    """Return delay and loss of a run; once for all files of it."""
    return rows(result.calls, pairs_of(result.paired), result.facts, result.polls)


def write(result: Result) -> list[Path]:
    """Write the three files."""
    found, offset = delay_rows(result), clock_offset(result.calls)
    csv_path, json_path, md_path = (result.folder / f"delay.{kind}" for kind in ("csv", "json", "md"))
    write_csv(csv_path, COLUMNS, (row(each, offset, result) for each in found))
    json_path.write_text(json.dumps(document(found, offset, result), indent=1, ensure_ascii=True) + "\n", "utf-8")
    md_path.write_text("\n".join(_page(found, offset, result)) + "\n", "utf-8")
    return [csv_path, json_path, md_path]


def row(each: DelayRow, offset: Offset, result: Result) -> dict[str, Any]:
    """Return a class as a flat row; what is not estimable is None."""
    told: dict[str, Any] = {name: getattr(each, name) for name in ("channel", "region", "category", "access", *COUNTS)}
    if each.loss:
        told |= _limits(each.loss.logged, "logged_share", "") | {"lost_below": round(each.loss.lost_below, 6)}
    if each.estimate:
        told["censored"] = each.estimate.censored
        for share, name in _QUANTILES.items():
            told |= _limits(each.estimate.quantiles[share], name, "_seconds")
            told[f"{name}_not_told"] = each.estimate.not_told.get(share)
        told |= _limits(each.estimate.maximum, "max", "_seconds")
        for within, name in _WITHIN.items():
            told |= _limits(each.estimate.shares[within], name, "")
    told |= {
        "clock_offset_seconds": _rounded(offset.seconds),
        "clock_uncertainty_seconds": _rounded(offset.uncertainty_seconds),
        **provenance(result.facts),
    }
    return {name: told.get(name) for name in COLUMNS}


def document(found: list[DelayRow], offset: Offset, result: Result) -> dict[str, Any]:
    """Return the JSON document."""
    return {
        "headline": result.headline,
        "schema_version": SCHEMA_VERSION,
        **provenance(result.facts),
        "confidence": CONFIDENCE,
        "clock": {
            "offset_seconds": _rounded(offset.seconds),
            "uncertainty_seconds": _rounded(offset.uncertainty_seconds),
            "calls": offset.calls,
            "agreeing": offset.agreeing,
        },
        "waiting_seconds": dict(result.facts.get("absence_seconds", {})),
        "rows": [_nested(each) for each in found],
    }


def _nested(each: DelayRow) -> dict[str, Any]:
    estimate, loss = each.estimate, each.loss
    return {
        **{name: getattr(each, name) for name in ("channel", "region", "category", "access", *COUNTS)},
        "logged_share": loss and _interval(loss.logged),
        "lost_below": loss and _rounded(loss.lost_below),
        "censored": estimate and estimate.censored,
        "quantile_seconds": estimate
        and {
            n: _interval(estimate.quantiles[p]) | {"not_told": estimate.not_told.get(p)} for p, n in _QUANTILES.items()
        },
        "max_seconds": estimate and _interval(estimate.maximum),
        "share": estimate and {n: _interval(estimate.shares[s]) for s, n in _WITHIN.items()},
    }


def _limits(measured: Measured, name: str, unit: str) -> dict[str, float | None]:
    told = {"": measured.value, "_low": measured.low, "_high": measured.high}
    return {f"{name}{limit}{unit}": _rounded(value) for limit, value in told.items()}


def _interval(measured: Measured) -> dict[str, float | None]:
    return {name: _rounded(getattr(measured, name)) for name in ("value", "low", "high")}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)


def _page(found: list[DelayRow], offset: Offset, result: Result) -> list[str]:
    lines = [f"> {markdown_cell(result.headline)}", "", "# Delay and loss", "", NOTES, "", clock_text(offset), ""]
    for channel in dict.fromkeys(each.channel for each in found):
        classes = [each for each in found if each.channel == channel]
        waiting = span(result.facts["absence_seconds"][channel])
        lines += [f"## {markdown_cell(channel)}", "", f"A record is waited for {waiting}.", ""]
        lines += _table(DELAY_NAMES, classes, delay_texts)
        lines += _not_told(classes)
        lines += _table([n.replace("within_", "within ") for n in _WITHIN.values()], classes, _shares)
        lines += _table(LOSS_NAMES, classes, loss_texts)
        lines += _table(("out of order", "other hour: arrival", "other hour: event", "files"), classes, _order)
    if found:
        return lines
    why = without_channels(result.facts)
    none = f"Nothing was measured: {why}." if why else "No call was made whose record is expected in a channel."
    return [*lines, none]


def clock_text(offset: Offset) -> str:
    """Say how the servers' clock stands to the client's."""
    if offset.uncertainty_seconds is None:
        return "No answer had a Date header: the client's clock is taken as it is."
    told = f"The servers' clock is {offset.seconds:+.2f} s ± {offset.uncertainty_seconds:.2f} s from the client's"
    return f"{told} ({offset.agreeing} of {offset.calls} Date headers agree); delays are corrected by it."


def _table(names: Iterable[str], classes: list[DelayRow], cells: Callable[[DelayRow], list[str]]) -> list[str]:
    lines = [f"| class | calls | {' | '.join(names)} |"]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    lines += [f"| {_label(each, classes)} | {each.calls} | {' | '.join(cells(each))} |" for each in classes]
    return [*lines, ""]


def class_name(each: DelayRow) -> str:
    """Return a class of calls in words: ``all``, ``data``, ``data write``."""
    return " ".join(word for word in (each.category, each.access) if word != ALL) or ALL


def _label(row: DelayRow, classes: list[DelayRow]) -> str:
    several = len({each.region for each in classes}) > 1
    return markdown_cell(f"{row.region} {class_name(row)}" if several else class_name(row))


def _not_told(classes: list[DelayRow]) -> list[str]:
    told = [(_label(each, classes), why_not_told(each)) for each in classes]
    lines = [f"- {label}, without a number: {why}" for label, why in told if why]
    return [*lines, ""] if lines else []


def why_not_told(each: DelayRow) -> str:
    """Return which quantiles have no number and why, or an empty text."""
    reasons: dict[str, list[str]] = {}
    for share, why in (each.estimate.not_told if each.estimate else {}).items():
        reasons.setdefault(why, []).append(_QUANTILES[share])
    return ", ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())


def delay_texts(each: DelayRow) -> list[str]:
    """Return the quantiles and the longest delay of a class, each with what is known of it."""
    if each.estimate is None:
        return ["–"] * (len(QUANTILES) + 1)
    longest = each.estimate.maximum
    seen = Measured(longest.value, longest.low if longest.value is None else None, None)
    return [_shown(one, *_unit(one)) for one in (*(each.estimate.quantiles[p] for p in QUANTILES), seen)]


def _shares(each: DelayRow) -> list[str]:
    return [_shown(each.estimate.shares[s], "%", 0.01) if each.estimate else "–" for s in WITHIN_SECONDS]


def loss_texts(each: DelayRow) -> list[str]:
    """Return logged share, bound of the lost share, and counts of missing, pending, repeated and late records."""
    shown = [_shown(each.loss.logged, "%", 0.01), f"< {100 * each.loss.lost_below:.2g} %"] if each.loss else ["–", "–"]
    missing = f"{each.missing} ({each.never_logged} never logged)" if each.never_logged else str(each.missing)
    return [*shown, missing, str(each.pending), str(each.duplicates), str(each.late)]


def _order(each: DelayRow) -> list[str]:
    hours = ("–" if n is None else str(n) for n in (each.wrong_hour_arrival, each.wrong_hour_event))
    return [str(each.out_of_order), *hours, str(each.files)]


def _unit(measured: Measured) -> tuple[str, float]:
    """Return the unit that suits a delay, and its seconds."""
    longest = max(abs(x) for x in (measured.value, measured.low, measured.high, 0.0) if x is not None)
    return next((unit for unit in _UNITS if longest >= 2 * unit[1]), _UNITS[-1])


def _shown(measured: Measured, unit: str, one: float) -> str:
    """Return ``4.28 min (4.03 to 4.48)``, or what is known of it."""
    numbers = (measured.value, measured.low, measured.high)
    value, low, high = (None if x is None else _digits(x / one, unit) for x in numbers)
    limits = f"{low} to {high}" if low and high else f"> {low}" if low else f"< {high}" if high else ""
    if value is None:
        return f"{limits} {unit}" if limits else "–"
    return f"{value} {unit} ({limits})" if limits else f"{value} {unit}"


def _digits(number: float, unit: str) -> str:
    """Return three digits, or five just below 100 %, so that nearly all is not shown as all."""
    return f"{number:.5g}" if unit == "%" and 99 < number < 100 else f"{number:.3g}"
