"""``logjam-tables.md``: Tables 3 and 4 of the Netskope article of 2019, made again from a run, with its seven notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from botocore import xform_name

from harness import catalogue
from harness.analyse.claims import check_claims
from harness.analyse.join import Pair
from harness.analyse.verify import Check, Seen
from harness.catalogue.documented import claims, notes, table
from harness.catalogue.fields import is_related
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Level, Operation, Verdict
from harness.report import Result, without_channels
from harness.report.safe import markdown_cell

ARTICLE = "Netskope, AWS S3 Logjam: Server Access Logging vs. Object-Level Logging, 30 July 2019"
_INTRODUCTION = """\
After Tables 3 and 4 of {article}. No copy of the article's own
tables is preserved, so nothing is taken over from them: the rows are all operations of botocore {botocore}, the split
into buckets and objects is ours, and every name is the one that this run saw in the `ok` variant. A name after + is a
further record of the same call; – was not run. `matrix.md` has the other variants and the control operations.

Note 3: the event stands in no list of AWS's page of 2026. Note 5: Get and List left the same operation string.
Note 6: no event was observed. Notes 1, 2, 4 and 7 are not preserved, so no row can carry them.
"""
_LEVELS = {Level.SERVICE: "Service", Level.BUCKET: "Bucket", Level.OBJECT: "Object"}
_HEADER = (
    "| REST action | SDK method (boto3) | AWS CLI | CloudTrail eventName | server access operation | notes |",
    "|---|---|---|---|---|---|",
)


def write(result: Result) -> list[Path]:
    """Write the file."""
    seen = Seen.of(result.cells, result.calls, result.paired)
    found = {check.claim.id: check for check in check_claims(claims(), seen)}
    operations = catalogue.operations()
    buckets = [o for o in operations.values() if o.level is not Level.OBJECT]
    objects = [o for o in operations.values() if o.level is Level.OBJECT]
    lines = [
        f"> {markdown_cell(result.headline)}",
        "",
        "# The Logjam tables, measured",
        "",
        *(f"No name was measured: {why}.\n" for why in [without_channels(result.facts)] if why),
        _INTRODUCTION.format(article=ARTICLE, botocore=markdown_cell(str(result.facts["botocore"]))),
        "## Table 3: service and bucket operations",
        "",
        *_HEADER,
        *(_row(operation, seen) for operation in buckets),
        "",
        "## Table 4: object operations",
        "",
        *_HEADER,
        *(_row(operation, seen) for operation in objects),
        "",
        "## Requests that no SDK method makes",
        "",
        *_HEADER,
        *(_row(operation, seen) for operation in catalogue.forms().values()),
        "",
        "## Notes 1 to 7",
        "",
        "| note | what it says | verdict of this run | why, and evidence |",
        "|---|---|---|---|",
        *_note_rows(found),
        "",
        "## What the article claims",
        "",
        "| claim | statement | verdict of this run | why, and evidence |",
        "|---|---|---|---|",
        *(_claim_row(check) for name, check in found.items() if name.startswith("NS-")),
    ]
    path = result.folder / "logjam-tables.md"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return [path]


def rest_action(operation: Operation) -> str:
    """Return an operation the way the S3 API Reference of 2019 called it: ``PUT Bucket acl``."""
    keys = [part.rpartition(":")[2] for part in operation.subresource.split()]
    return " ".join([operation.method, _LEVELS[operation.level], *keys])


def cli_command(operation: Operation) -> str:
    """Return the AWS CLI's command."""
    group = "s3control" if operation.service == "s3control" else "s3api"
    return f"aws {group} {xform_name(_plain(operation), '-')}"


def sdk_method(operation: Operation) -> str:
    """Return the method of a boto3 client."""
    return xform_name(_plain(operation))


def _plain(operation: Operation) -> str:
    return operation.name.removeprefix(catalogue.CONTROL_PREFIX)


def _row(operation: Operation, seen: Seen) -> str:
    is_form = operation.service == "form"
    cells = [
        f"{operation.name}: {operation.method} {operation.uri}".replace(": - ", ": ")
        if is_form
        else rest_action(operation),
        "–" if is_form else f"`{sdk_method(operation)}`",
        "–" if is_form else f"`{cli_command(operation)}`",
        _names(operation.name, CLOUDTRAIL, seen),
        _names(operation.name, SERVER_ACCESS, seen),
        _marks(operation, seen),
    ]
    return f"| {markdown_cell(cells[0])} | {' | '.join(cells[1:])} |"


def _names(operation: str, channel: str, seen: Seen) -> str:
    cell = seen.cell(operation, channel)
    if cell is None or cell.verdict is Verdict.NOT_RUN:
        return "–"
    pairs = seen.records(operation, channel)
    own = _distinct(pair for pair in pairs if not is_related(pair.record))
    further = _distinct(pair for pair in pairs if is_related(pair.record))
    if not own and not further:
        return markdown_cell(cell.verdict.value)
    told = ", ".join(f"`{_code(name)}`" for name in own) + "".join(f" + `{_code(name)}`" for name in further)
    return told if cell.verdict is Verdict.LOGGED else f"{told} ({markdown_cell(cell.verdict.value)})"


def _distinct(pairs: Iterable[Pair]) -> list[str]:
    return list(dict.fromkeys(pair.record.name for pair in pairs))


def _code(name: str) -> str:
    return markdown_cell(name).replace("\\_", "_").replace("\\`", "'")


def _marks(operation: Operation, seen: Seen) -> str:
    """Return the numbers of the notes that hold for one operation in this run."""
    marks = []
    listed = {claim.operation for claim in table("aws-2026") if claim.channel == CLOUDTRAIL and claim.name}
    event = seen.cell(operation.name, CLOUDTRAIL)
    if event and event.logged and operation.name not in listed:
        marks.append("3")
    if _shares_its_string(operation, seen):
        marks.append("5")
    if event and event.verdict is Verdict.NOT_OBSERVED:
        marks.append("6")
    if operation.twins:
        marks.append(f"same wire form as {', '.join(operation.twins)}")
    return ", ".join(marks)


def _shares_its_string(operation: Operation, seen: Seen) -> bool:
    """Tell whether Get and List of a configuration family left the same operation string."""
    one = operation.name.replace("List", "Get", 1).removesuffix("s")
    many = operation.name if operation.name.startswith("List") else f"{operation.name.replace('Get', 'List', 1)}s"
    if not one.endswith("Configuration") or operation.name not in (one, many):
        return False
    names = [_distinct(seen.records(name, SERVER_ACCESS)) for name in (one, many)]
    return bool(names[0]) and names[0] == names[1]


def _note_rows(found: dict[str, Check]) -> list[str]:
    rows = []
    for note in notes():
        if not note.claim:
            rows.append(f"| {note.number} | not preserved in any public copy | undetermined | its text is lost |")
            continue
        check = found[note.claim]
        rows.append(f"| {note.number} | {markdown_cell(note.statement)} | {check.words} | {_why(check)} |")
    return rows


def _claim_row(check: Check) -> str:
    statement = markdown_cell(check.claim.text)
    return f"| {check.claim.id} | {statement} | {check.words} | {_why(check)} |"


def _why(check: Check) -> str:
    parts: Sequence[str] = [check.answer.why, *map(str, check.answer.evidence[:1])]
    return markdown_cell("; ".join(part for part in parts if part))
