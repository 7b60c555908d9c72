"""Lints rule files: finds them, reads each with its reader, and keeps what could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ExitCode, NothingSelectedError, UsageError
from harness.explain import Known as Measured
from harness.explain import knowledge
from harness.lint import elastic, panther, queries, sigma, suppressions
from harness.lint.checks import check, is_about_s3, unjudged
from harness.lint.documents import MAX_FILES, text_of, toml_document, yaml_documents
from harness.lint.fields import EVENT_NAME, OPERATION, channel_of_name
from harness.lint.known import Known
from harness.lint.model import LIST, Condition, Finding, Form, Kind, Level, Rule, Unjudged, Unread, Unreadable
from harness.model import CLOUDTRAIL, SERVER_ACCESS

_QUERIES = (".sql", ".query", ".cwl", ".insights")
SUFFIXES = (".yml", ".yaml", ".toml", ".py", ".txt", ".list", *_QUERIES)
_MAX_LISTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LintResult:
    """What a lint found.

    Attributes:
        measured: The run, if there was one.
        files: How many rule files were read.
        rules: How many rules they hold.
        about_s3: How many of those are about S3's records; the others are left alone.
        findings: Suppressed ones too.
        unread: What could not be read.
        unjudged: Names that may be any service's, in lists and in rules about S3.
    """

    measured: Measured
    files: int
    rules: int
    about_s3: int
    findings: tuple[Finding, ...]
    unread: tuple[Unread, ...]
    unjudged: tuple[Unjudged, ...] = ()

    @property
    def open(self) -> list[Finding]:
        """The findings that no reason suppresses."""
        return [finding for finding in self.findings if not finding.suppressed]

    @property
    def exit_code(self) -> ExitCode:
        """1 when anything but a note is open, or something could not be read; else 0."""
        wrong = any(finding.level is not Level.NOTE for finding in self.open)
        return ExitCode.DRIFT if wrong or self.unread else ExitCode.OK


def lint(paths: Sequence[Path], run: Path | None = None, *, data_events: bool = False) -> LintResult:
    """Hold rule files against what the logs write.

    Args:
        paths: Files, or folders that are searched for files with a rule's suffix.
        run: A run's folder; without one ``results/latest`` if it is there, or else documents alone.
        data_events: Whether the trail is known to have data events: then needing them is nothing to tell.

    Raises:
        UsageError: A path is not there, there are too many files, or a parser is not installed.
        NothingSelectedError: No file holds a rule.
    """
    measured = knowledge(run)
    known = Known.of(measured.evidence)
    files = list(_files(paths))
    named = {path for path in paths if path.is_file()}
    findings: list[Finding] = []
    unread: list[Unread] = []
    open_names: list[Unjudged] = []
    counts = {"files": 0, "rules": 0, "about": 0}
    for path in files:
        try:
            text = text_of(path)
            rules, broken = _read(path, text, asked_for=path in named)
        except Unreadable as error:
            unread.append(Unread(path=path, line=error.line, reason=error.reason))
            continue
        except OSError as error:
            unread.append(Unread(path=path, line=1, reason=f"cannot be read: {error.strerror or error}"))
            continue
        unread += broken
        counts["files"] += bool(rules or broken)
        counts["rules"] += len(rules)
        for rule in rules:
            found, failed = _check(rule, text if rule.path == path else text_of(rule.path), known)
            unread += failed
            if found is not None:
                counts["about"] += 1
                findings += found
            if (found is not None or rule.language == LIST) and (names := unjudged(rule, known)):
                open_names.append(names)
    if not counts["files"] and not unread:
        raise NothingSelectedError(f"no rule in {', '.join(map(str, paths))}: docs/lint.md says what can be read")
    kept = [f for f in dict.fromkeys(findings) if not (data_events and f.kind is Kind.DATA_EVENTS)]
    return LintResult(
        measured=measured,
        files=counts["files"],
        rules=counts["rules"],
        about_s3=counts["about"],
        findings=tuple(sorted(kept, key=lambda f: (str(f.path), f.line, f.kind.value, f.name))),
        unread=tuple(dict.fromkeys(unread)),
        unjudged=tuple(open_names),
    )


def _check(rule: Rule, text: str, known: Known) -> tuple[list[Finding] | None, list[Unread]]:
    """Check a rule, with the suppressions of its file; None for one that is not about S3, or cannot be judged."""
    try:
        if not is_about_s3(rule, known):
            return None, []
        found = list(check(rule, known))
    except (Unreadable, ValueError) as error:
        line = error.line if isinstance(error, Unreadable) else rule.line
        return None, [Unread(path=rule.path, line=line, reason=str(error))]
    told, refused = suppressions.read(text)
    return suppressions.apply(found, told), [Unread(path=rule.path, line=line, reason=why) for line, why in refused]


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files; links inside a folder are not followed, so that a set of rules cannot lead elsewhere."""
    count = 0
    seen: set[Path] = set()
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}: give rule files, or folders with rule files")
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        for file in inside:
            if file in seen or (path.is_dir() and (file.is_symlink() or not file.is_file())):
                continue
            seen.add(file)
            count += 1
            if count > MAX_FILES:
                raise UsageError(f"more than {MAX_FILES} files: give a smaller folder")
            yield file


def _read(path: Path, text: str, *, asked_for: bool) -> tuple[list[Rule], list[Unread]]:
    """Return the rules of a file; one that holds something else has none.

    Args:
        asked_for: Whether it was named, and not found in a folder: a Python file or a list is read only then.
    """
    suffix = path.suffix.lower()
    if suffix in (".yml", ".yaml"):
        return _read_yaml(path, text)
    if suffix == ".toml":
        document = toml_document(text)
        return (elastic.read(path, text, document) if asked_for or "rule" in document else []), []
    if suffix == ".py":
        return ([panther.read_python(path, text, CLOUDTRAIL, path.stem)] if asked_for else []), []
    if queries.is_sql(text):
        return queries.read_sql(path, text, path.stem), []
    if queries.is_insights(text):
        return queries.read_insights(path, text, path.stem), []
    if suffix in _QUERIES:
        raise Unreadable("neither SQL nor a Logs Insights query with a filter")
    return (_read_list(path, text) if asked_for or suffix == ".list" else []), []


def _read_yaml(path: Path, text: str) -> tuple[list[Rule], list[Unread]]:
    rules: list[Rule] = []
    broken: list[Unread] = []
    for document in yaml_documents(text):
        try:
            if sigma.is_sigma(document.content):
                rules.append(sigma.read(path, document))
            elif panther.is_panther(document.content):
                rules += panther.read(path, document)
        except Unreadable as error:
            broken.append(Unread(path=path, line=error.line, reason=error.reason))
    return rules, broken


def _read_list(path: Path, text: str) -> list[Rule]:
    """Read a plain list: one name or pattern a line, ``#`` for comments; its shape says which log it is of.

    Raises:
        Unreadable: A line is no name.
    """
    names: dict[str, list[Condition]] = {CLOUDTRAIL: [], SERVER_ACCESS: []}
    fields = {CLOUDTRAIL: EVENT_NAME, SERVER_ACCESS: OPERATION}
    lines = text.split("\n")
    if len(lines) > _MAX_LISTED:
        raise Unreadable(f"a list of more than {_MAX_LISTED} lines")
    for number, line in enumerate(lines, 1):
        name = line.partition("#")[0].strip().strip(",'\"")
        if name and any(c.isspace() for c in name):
            raise Unreadable(f"no rule, query or list of names: {line.strip()[:60]!r}", number)
        if name:
            channel = channel_of_name(name)
            names[channel].append(_listed(fields[channel], name, number))
    return [
        Rule(
            path=path,
            title=path.stem,
            language=LIST,
            channel=channel,
            line=found[0].line,
            conditions=tuple(found),
        )
        for channel, found in names.items()
        if found
    ]


def _listed(field: str, name: str, line: int) -> Condition:
    """Make the condition of a listed name; ``*`` and ``?`` stand for what they do in ``explain``."""
    if not set("*?") & set(name):
        return Condition(field=field, value=name, line=line)
    return Condition(field=field, value=name.replace("[", "[[]"), form=Form.GLOB, written=name, line=line)
