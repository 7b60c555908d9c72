"""What the lint holds rules against: the names that each log writes, by a run where it saw them, else by documents."""

from __future__ import annotations

import csv
import difflib
import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import botocore
import botocore.session

from harness import catalogue
from harness.analyse.explanation import Evidence
from harness.catalogue import documented
from harness.catalogue.names import NEWEST, documented_names, meanings, seen_strings
from harness.model import CLOUDTRAIL, SERVER_ACCESS, Operation

CHANNELS = (CLOUDTRAIL, SERVER_ACCESS)
_ALWAYS = {"bucketName", "key", "Key", "Host", "host", "accessControlList", "bucketPolicy", "versionId", "x-id"}
"""Members of ``requestParameters`` that records have whatever the call (S3 User Guide, CloudTrail log file entries)."""
_OPERATION = re.compile(rb'"name":\s*"(\w+)",\s*"http":')
"""An operation's name in a service model, which names its method and path next."""
_PRESIGNED = re.compile(
    r"X-Amz-.*|AWSAccessKeyId|Signature|Expires|x-amz-(?:meta|checksum|sdk|security|date|content).*"
)


@dataclass(frozen=True, slots=True)
class Former:
    """What is meant by a name that no record has: operations, and what their records are named."""

    operations: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one channel.

    Attributes:
        writers: Per name the operations that leave it, in a record of their own or of something inside their calls.
        former: Names that no record has, or none any more, though it is known what is meant.
        categories: Per CloudTrail name what its writers are said or seen to be: ``data``, ``management``.
    """

    writers: Mapping[str, frozenset[str]]
    former: Mapping[str, Former]
    categories: Mapping[str, frozenset[str]]

    def fitting(self, matches: Callable[[str], bool]) -> list[str]:
        """Return the names that a pattern fits."""
        return [name for name in self.writers if matches(name)]

    def rows(self, names: Iterable[str]) -> frozenset[str]:
        """Return the operations that leave any of some names."""
        return frozenset(row for name in names for row in self.writers[name])

    def near(self, name: str) -> str:
        """Return the nearest name, or an empty text."""
        folded = {each.lower(): each for each in self.writers}
        found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.85)
        return folded[found[0]] if found else ""


@dataclass(frozen=True, slots=True)
class Known:
    """Both channels' names, and what was seen in requestParameters.

    Attributes:
        measured: Channels and operations of which the run has records of their own.
        parameters: Per operation the members of ``requestParameters`` that the run saw.
    """

    names: Mapping[str, Names]
    measured: frozenset[tuple[str, str]] = frozenset()
    parameters: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, evidence: Evidence | None) -> Known:
        """Arrange what a run saw and documents say; without a run documents speak alone."""
        parameters: dict[str, frozenset[str]] = {}
        for (operation, inside), pairs in (evidence.observed.of_channel(CLOUDTRAIL) if evidence else {}).items():
            if not inside:
                paths = {path for pair in pairs for path in pair.record.fields if path.startswith("requestParameters.")}
                parameters[operation] = frozenset(re.split(r"[.\[]", path)[1] for path in paths)
        writers = {(c, w) for c in CHANNELS for w in (evidence.observed.of_channel(c) if evidence else ())}
        return cls(
            names={channel: _names(channel, evidence) for channel in CHANNELS},
            measured=frozenset((channel, row) for channel, (row, inside) in writers if not inside),
            parameters=parameters,
        )

    def leaves(self, operation: str, channel: str, *, inside: bool) -> set[str]:
        """Return the names of an operation's own records in a channel, or with those of what is inside its calls.

        Only what the run saw or the newest documents say: an older one may be out of date.
        """
        names = {name for name, rows in self.names[channel].writers.items() if operation in rows}
        own = {name for name in names if not _is_inside(channel, name, operation)}
        if (channel, operation) not in self.measured:
            own &= {*documented_names(channel, operation, (NEWEST,))}
        return own | (names if inside else set())

    def may_have(self, operations: Iterable[str], member: str) -> bool:
        """Tell whether ``requestParameters`` of one of the operations may have a member, by run or botocore's model."""
        if member in _ALWAYS or _PRESIGNED.fullmatch(member):
            return True
        return any(member in self.parameters.get(each, ()) or member in _members(each) for each in operations)


def _names(channel: str, evidence: Evidence | None) -> Names:
    writers = _writers(channel, evidence)
    former: dict[str, Former] = {}
    for row, operation in catalogue.rows().items():
        own = _own_names(channel, row, writers)
        if not own:
            for name in _plausible(channel, operation):
                writers.setdefault(name, set()).add(row)
        for name in _other_names(channel, row) - set(own) if own else ():
            known = former.get(name)
            if known is None or known.operations[0].startswith(catalogue.CONTROL_PREFIX):
                former[name] = Former((row,), own)
    if channel == CLOUDTRAIL:
        for action, rows in iam_actions().items():
            own = tuple(dict.fromkeys(name for row in rows for name in _own_names(channel, row, writers)))
            if own:
                former.setdefault(action, Former(rows, own))
    return Names(
        {name: frozenset(rows) for name, rows in writers.items()},
        {name: told for name, told in former.items() if name not in writers},
        {name: frozenset(_categories(rows, evidence)) for name, rows in writers.items()},
    )


def _writers(channel: str, evidence: Evidence | None) -> dict[str, set[str]]:
    """Return what leaves each name: where a run saw an operation it alone speaks, else the newest document."""
    writers: dict[str, set[str]] = {name: set() for name in seen_strings(channel)}
    for name, by in (evidence.observed.by_name(channel) if evidence else {}).items():
        writers.setdefault(name, set()).update(operation for operation, _ in by)
    for name, said in meanings(channel).items():
        for meaning in said:
            own = evidence.observed.own(channel, meaning.operation) if evidence else ()
            is_newest = name in documented_names(channel, meaning.operation) and not own
            if not meaning.is_rule and (meaning.inside or is_newest):
                writers.setdefault(name, set()).add(meaning.operation)
    return writers


def _own_names(channel: str, row: str, writers: Mapping[str, set[str]]) -> tuple[str, ...]:
    return tuple(name for name, rows in writers.items() if row in rows and not _is_inside(channel, name, row))


def _other_names(channel: str, row: str) -> set[str]:
    """Return what an operation's records may be taken to be called: its own name, and those of older documents."""
    old = {
        name
        for name, said in meanings(channel).items()
        if any(m.operation == row and not m.inside and not m.is_rule for m in said)
    }
    return old | ({row.removeprefix(catalogue.CONTROL_PREFIX)} if channel == CLOUDTRAIL else set())


def _is_inside(channel: str, name: str, row: str) -> bool:
    said = [meaning for meaning in meanings(channel).get(name, ()) if meaning.operation == row]
    return bool(said) and all(meaning.inside for meaning in said)


def _plausible(channel: str, operation: Operation) -> list[str]:
    """Return what an operation's records may be called, where no document and no run says it: no rule is wrong then."""
    name = operation.name.removeprefix(catalogue.CONTROL_PREFIX)
    if operation.service == "form" or (operation.service == "s3control" and name in catalogue.operations()):
        return []  # Outposts: their events come from a source of their own
    if channel == CLOUDTRAIL:
        return [name]
    if operation.service != "s3":
        return []
    resource = operation.subresource.split(" ")[0].partition("=")[0]
    if not resource or ":" in resource:
        return []
    spelled = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", resource).upper()
    return [f"REST.{operation.method}.{each}" for each in {spelled, spelled.replace("_", ""), f"OBJECT_{spelled}"}]


@cache
def operations_of_others() -> frozenset[str]:
    """Names of the operations of all services but S3. Read as text: to parse 400 models takes ten times as long."""
    names: set[bytes] = set()
    for file in (Path(botocore.__file__).parent / "data").rglob("service-2.json*"):
        if file.parent.parent.name not in ("s3", "s3control"):
            data = file.read_bytes()
            names.update(_OPERATION.findall(gzip.decompress(data) if file.suffix == ".gz" else data))
    return frozenset(name.decode() for name in names)


@cache
def iam_actions() -> Mapping[str, tuple[str, ...]]:
    """IAM actions that are no operation's name, which rules take for event names, with the calls that they permit."""
    text = resources.files("harness.lint").joinpath("iam_actions.csv").read_text("utf-8")
    return {row["action"]: tuple(row["operations"].split()) for row in csv.DictReader(text.splitlines())}


def _categories(rows: Iterable[str], evidence: Evidence | None) -> Iterator[str]:
    for row in rows:
        seen = (
            {p.record.fields.get("eventCategory") for p in evidence.observed.own(CLOUDTRAIL, row)} if evidence else ()
        )
        told = {str(each).lower() for each in seen if each}
        said = (c.category for c in documented.table(NEWEST) if (c.channel, c.operation) == (CLOUDTRAIL, row))
        yield from told or filter(None, said)


@cache
def _members(row: str) -> frozenset[str]:
    """Return the names that a request of an operation has on the wire, of headers, query and body."""
    operation = catalogue.find(row)
    if operation is None or operation.service == "form":
        return frozenset()
    model = botocore.session.get_session().get_service_model(operation.service)
    shape = model.operation_model(row.removeprefix(catalogue.CONTROL_PREFIX)).input_shape
    found = {
        part.partition("=")[0].removeprefix("query:").removeprefix("header:") for part in operation.subresource.split()
    }
    for name, member in (shape.members if shape else {}).items():
        if member.serialization.get("location") != "uri":  # the bucket and the key have names of their own
            found |= {name, name[0].lower() + name[1:], str(member.serialization.get("name", name))}
    return frozenset(found)
