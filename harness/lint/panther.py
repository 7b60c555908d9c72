"""Reads Panther rules: YAML, and the Python beside it as a syntax tree. Nothing of it is ever executed or imported."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from harness.lint import queries
from harness.lint.documents import Document, text_of
from harness.lint.model import Condition, Form, Rule, Unreadable
from harness.model import CLOUDTRAIL, SERVER_ACCESS

LANGUAGE = "Panther"
_LOG_TYPES = {"AWS.CloudTrail": CLOUDTRAIL, "AWS.S3ServerAccess": SERVER_ACCESS}
_READERS = ("get", "deep_get", "deep_walk")
_PATTERN_CALLS = ("pattern_match", "fnmatch", "fnmatchcase")
_FOLDING = ("lower", "upper", "casefold")
_MAX_CALLS = 20


def is_panther(document: object) -> bool:
    """Tell whether a YAML document is a Panther analysis item."""
    return isinstance(document, dict) and "AnalysisType" in document


def read(path: Path, document: Document) -> list[Rule]:
    """Read a rule and the Python file that it names, which has to stand beside it.

    Raises:
        Unreadable: Its Python cannot be read.
        OSError: The same.
    """
    told, line = document.content, document.line
    title = str(told.get("DisplayName") or told.get("RuleID") or path.stem)
    for key in ("AthenaQuery", "SnowflakeQuery", "Query"):
        if isinstance(told.get(key), str):
            return queries.read_sql(path, told[key], title, document.line_of(key))
    if told.get("AnalysisType") != "rule":
        return []  # policies, data models, globals: nothing that looks for records
    types = told.get("LogTypes")
    channels = {_LOG_TYPES[name] for name in types if name in _LOG_TYPES} if isinstance(types, list) else set()
    file = told.get("Filename")
    rules = []
    for channel in sorted(channels):
        if isinstance(told.get("Detection"), list):
            asked = tuple(_declared(told["Detection"], True, document, ("Detection",)))
            rules.append(Rule(path=path, title=title, language=LANGUAGE, channel=channel, conditions=asked, line=line))
        if isinstance(file, str) and file:
            if Path(file).name != file:
                raise Unreadable(f"Filename is no file beside it: {file!r}", document.line_of("Filename"))
            rules.append(read_python(path.with_name(file), text_of(path.with_name(file)), channel, title))
    return rules or [Rule(path=path, title=title, language=LANGUAGE, channel="", line=line)]


def read_python(path: Path, text: str, channel: str, title: str) -> Rule:
    """Read what the function ``rule`` asks of its event.

    Raises:
        Unreadable: It is no Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes in other people's code
            tree = ast.parse(text)
        asked = tuple(_Reader.of(tree).rule())
    except SyntaxError as error:
        raise Unreadable(f"no Python: {error.msg}", error.lineno or 1) from error
    except (RecursionError, MemoryError, ValueError) as error:
        raise Unreadable(f"no Python that can be read: {error or 'nested too deeply'}") from error
    # Of the access log Panther has a schema of its own, with other field names than the log's.
    own = channel == SERVER_ACCESS
    return Rule(path=path, title=title, language=LANGUAGE, channel=channel, conditions=asked, judges_fields=not own)


def _declared(nodes: Any, wanted: bool, document: Document, place: tuple[Any, ...]) -> Iterator[Condition]:
    """Read a detection that is declared in YAML, at a place of it."""
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        at = (*place, index)
        if not isinstance(node, dict):
            continue
        for name, inner in node.items():
            if name in ("All", "Any", "OnlyOne", "None"):
                yield from _declared(inner, wanted != (name == "None"), document, (*at, name))
        key, how = node.get("Key"), str(node.get("Condition") or "")
        path = node.get("DeepKey")
        name = ".".join(map(str, path)) if isinstance(path, list) else key
        if not isinstance(name, str):
            continue
        negated = how.startswith("DoesNot") or how.startswith("IsNot")
        field_line = document.line_of(*at, "DeepKey" if isinstance(path, list) else "Key")
        several = isinstance(node.get("Values"), list)
        for number, value in enumerate(node["Values"] if several else [node.get("Value")]):
            if not isinstance(value, str):
                yield Condition(field=name, form=Form.USED, line=field_line)
                continue
            value_line = document.line_of(*at, *(("Values", number) if several else ("Value",)))
            form, text = Form.TEXT, value
            for mark, glob in (("StartWith", f"{value}*"), ("EndWith", f"*{value}"), ("Contain", f"*{value}*")):
                if mark in how.replace("sWith", "With"):
                    form, text = Form.GLOB, glob
            yield Condition(
                field=name,
                value=text,
                form=form,
                wanted=wanted != negated,
                written=value,
                line=value_line,
                field_line=field_line,
            )


class _Text(NamedTuple):
    """A text in the code, and its line."""

    text: str
    line: int


@dataclass(slots=True)
class _Reader:
    """Walks the function ``rule`` and the module's own functions that it calls."""

    functions: Mapping[str, ast.FunctionDef]
    constants: dict[str, tuple[_Text, ...]]
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    folded: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, tree: ast.Module) -> _Reader:
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        reader = cls(functions, {})
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                reader._remember(node)
        return reader

    def rule(self) -> Iterator[Condition]:
        function = self.functions.get("rule")
        if function is None:
            raise Unreadable("there is no function rule(event)")
        yield from self._function(function)

    def _function(self, function: ast.FunctionDef) -> Iterator[Condition]:
        if function.name in self.called or len(self.called) >= _MAX_CALLS:
            return
        self.called.add(function.name)
        if function.args.args:
            self.fields[function.args.args[0].arg] = ()
        yield from self._body(function.body)

    def _body(self, body: list[ast.stmt]) -> Iterator[Condition]:
        for node in body:
            if isinstance(node, ast.If):
                # `if name not in NAMES: return False` wants what it compares with.
                yield from self._test(node.test, not _refuses(node.body))
                yield from self._body(node.body)
                yield from self._body(node.orelse)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                self._remember(node)
                if node.value is not None:
                    yield from self._test(node.value, True)
            elif isinstance(node, ast.Return | ast.Expr):
                if node.value is not None:
                    yield from self._test(node.value, True)
            elif isinstance(node, ast.For | ast.While | ast.With):
                yield from self._body(node.body)
            elif isinstance(node, ast.Try):
                for part in (node.body, *(handler.body for handler in node.handlers), node.finalbody):
                    yield from self._body(part)
            elif isinstance(node, ast.Match):
                yield from self._match(node)

    def _match(self, node: ast.Match) -> Iterator[Condition]:
        path = self._path(node.subject)
        for case in node.cases:
            wanted = not _refuses(case.body)
            patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
            for each in patterns:
                if path and isinstance(each, ast.MatchValue):
                    for value in self._texts(each.value):
                        yield _condition(path, node.subject, value, wanted=wanted)
            yield from self._body(case.body)

    def _remember(self, node: ast.Assign | ast.AnnAssign) -> None:
        assert node.value is not None
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                path = self._path(node.value)
                if path:
                    self.fields[target.id] = path
                    if self._folds(node.value):
                        self.folded.add(target.id)
                elif texts := self._texts(node.value):
                    self.constants[target.id] = texts

    def _test(self, node: ast.expr, wanted: bool) -> Iterator[Condition]:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield from self._test(node.operand, not wanted)
        elif isinstance(node, ast.Compare):
            yield from self._compare(node, wanted)
        elif isinstance(node, ast.Call):
            yield from self._call(node, wanted)
        elif isinstance(node, ast.BoolOp | ast.IfExp):
            for inner in ast.iter_child_nodes(node):
                if isinstance(inner, ast.expr):
                    yield from self._test(inner, wanted)
        elif path := self._path(node):
            yield _used(path, node, wanted)

    def _compare(self, node: ast.Compare, wanted: bool) -> Iterator[Condition]:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            turned = isinstance(operator, ast.NotEq | ast.NotIn | ast.IsNot)
            is_member = isinstance(operator, ast.In | ast.NotIn)
            path, texts, form = self._path(left), self._texts(right), Form.TEXT
            folded = self._folds(left)
            if not path and (path := self._path(right)):
                texts, folded = self._texts(left), self._folds(right)
                if is_member:  # "Delete" in event.get("eventName")
                    form = Form.GLOB
            if path and texts and isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                for text in texts:
                    value = f"*{text.text}*" if form is Form.GLOB else text.text
                    found = _condition(path, left, text, value, form, wanted=wanted != turned)
                    yield replace(found, ignore_case=folded)
            elif path:
                yield _used(path, left, wanted)
            left = right

    def _call(self, node: ast.Call, wanted: bool) -> Iterator[Condition]:
        path = self._path(node)
        if path:
            yield _used(path, node, wanted)
            return
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if isinstance(function, ast.Attribute) and name in ("startswith", "endswith") and node.args:
            if path := self._path(function.value):
                for text in self._texts(node.args[0]):
                    glob = f"{text.text}*" if name == "startswith" else f"*{text.text}"
                    found = _condition(path, node, text, glob, Form.GLOB, wanted=wanted)
                    yield replace(found, ignore_case=self._folds(function.value))
        elif name in _PATTERN_CALLS and len(node.args) == 2 and (path := self._path(node.args[0])):
            for text in self._texts(node.args[1]):
                yield _condition(path, node, text, text.text, Form.GLOB, wanted=wanted)
        elif name in ("match", "search", "fullmatch") and len(node.args) >= 2 and (path := self._path(node.args[1])):
            for text in self._texts(node.args[0]):
                pattern = {"match": f"^(?:{text.text})", "fullmatch": f"^(?:{text.text})$"}.get(name, text.text)
                yield _condition(path, node, text, pattern, Form.REGEX, wanted=wanted)
        elif isinstance(function, ast.Name) and name in self.functions:
            yield from self._function(self.functions[name])
        elif name in ("any", "all", "bool"):
            for inner in node.args:
                yield from self._test(inner, wanted)

    def _path(self, node: ast.AST) -> tuple[str, ...]:
        """The field of the event that an expression reads; empty where it reads none."""
        found = self._place(node)
        return found or ()

    def _place(self, node: ast.AST) -> tuple[str, ...] | None:
        """The same, but the event itself is the empty path."""
        if isinstance(node, ast.Name):
            return self.fields.get(node.id)
        if isinstance(node, ast.Subscript):
            base, key = self._place(node.value), self._texts(node.slice)
            return (*base, key[0].text) if base is not None and len(key) == 1 else None
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._place(node.values[0])
        return self._called(node) if isinstance(node, ast.Call) else None

    def _called(self, node: ast.Call) -> tuple[str, ...] | None:
        function = node.func
        if isinstance(function, ast.Attribute):
            base = self._place(function.value)
            if function.attr in (*_FOLDING, "strip") and base:
                return base
            keys = node.args[:1] if function.attr == "get" else node.args
            return self._joined(base, keys) if function.attr in _READERS else None
        if isinstance(function, ast.Name) and function.id in _READERS and node.args:
            return self._joined(self._place(node.args[0]), node.args[1:])
        return None

    def _joined(self, base: tuple[str, ...] | None, keys: list[ast.expr]) -> tuple[str, ...] | None:
        texts = [self._texts(key) for key in keys]
        if base is None or not texts or any(len(each) != 1 for each in texts):
            return None
        return (*base, *(each[0].text for each in texts))

    def _folds(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.folded
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        return is_call and node.func.attr in _FOLDING  # type: ignore[attr-defined]

    def _texts(self, node: ast.AST) -> tuple[_Text, ...]:
        """The texts that an expression holds."""
        if isinstance(node, ast.Constant):
            return (_Text(node.value, node.lineno),) if isinstance(node.value, str) else ()
        if isinstance(node, ast.Name):
            return self.constants.get(node.id, ())
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return tuple(text for each in node.elts for text in self._texts(each))
        if isinstance(node, ast.BinOp) and not isinstance(node.left, ast.Constant | ast.JoinedStr):
            return (*self._texts(node.left), *self._texts(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            return self._texts(node.args[0]) if node.func.id in ("set", "frozenset", "list", "tuple") else ()
        return ()


def _condition(
    path: tuple[str, ...],
    named: ast.expr,
    text: _Text,
    value: str | None = None,
    form: Form = Form.TEXT,
    *,
    wanted: bool,
) -> Condition:
    """Make a condition on a field that an expression names; ``value`` is the pattern that a text is part of."""
    return Condition(
        field=".".join(path),
        value=text.text if value is None else value,
        form=form,
        wanted=wanted,
        written=text.text,
        line=text.line,
        field_line=named.lineno,
    )


def _used(path: tuple[str, ...], node: ast.expr, wanted: bool) -> Condition:
    return Condition(field=".".join(path), form=Form.USED, wanted=wanted, line=node.lineno)


def _refuses(body: list[ast.stmt]) -> bool:
    """Tell whether a block ends with ``return False``."""
    last = body[-1]
    if not isinstance(last, ast.Return):
        return False
    return last.value is None or (isinstance(last.value, ast.Constant) and not last.value.value)
