"""Finds what KQL, EQL, ES|QL and Logs Insights queries ask of fields. It reads conditions, it does not check syntax.

Limits: functions over fields (``stringContains(field, …)``) and comparisons of two fields are passed over; in Insights
only ``filter`` commands count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.lint.model import Condition, Form, Unreadable

_WORDS = r"""
    (?P<space>\s+)
  | (?P<text>\"{3}.*?\"{3}|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')
  | (?P<quoted>`[^`]*`)
  | (?P<sign>==|!=|=~|!~|<=|>=|&&|\|\||[=:<>(){}\[\],|!])
  | (?P<word>[^\s"'`=:<>(){}\[\],|!]+)
"""
_COMMENT = r"(?P<comment>//[^\n]*|/\*.*?\*/) |"
_TOKEN = re.compile(_WORDS, re.VERBOSE | re.DOTALL)
_TOKEN_OR_COMMENT = re.compile(_COMMENT + _WORDS, re.VERBOSE | re.DOTALL)
_REGEX = re.compile(r"\s*/((?:[^/\\\n]|\\.)+)/")
_EQUAL = ("=", "==", ":", "in", "in~", "like", "like~", "=~", "regex", "regex~", "rlike")
_JOINTS = ("and", "or", "not")
MAX_TOKENS = 50_000


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int = field(default=0, compare=False)


def conditions(query: str, language: str) -> list[Condition]:
    """Return what a query asks.

    Args:
        query: Its text.
        language: ``kuery``, ``eql``, ``esql`` or ``insights``.

    Raises:
        Unreadable: It cannot be divided into words.
    """
    tokens = list(_tokens(query, language))
    if language == "insights":
        tokens = _filters_only(tokens)
    return list(_scan(tokens, language))


def _tokens(query: str, language: str) -> Iterator[_Token]:
    position = 0
    if language == "insights":
        query = re.sub(r"(?m)^[^\S\n]*#.*$", "", query)
    pattern = _TOKEN_OR_COMMENT if language in ("eql", "esql") else _TOKEN
    last = ""
    count = 0
    line, counted = 1, 0
    while position < len(query):
        line, counted = line + query.count("\n", counted, position), position
        # A slash begins a regular expression only behind an operator that takes one.
        match = _REGEX.match(query, position) if last in ("like", "=~", "regex", "!~") else None
        if match:
            yield _Token("regex", match[1], line)
            last, position = "", match.end()
            continue
        match = pattern.match(query, position)
        if match is None:
            raise Unreadable(f"a quote is never closed: {query[position : position + 30]!r}", line)
        position = match.end()
        kind = match.lastgroup or ""
        if kind in ("space", "comment"):
            continue
        count += 1
        if count > MAX_TOKENS:
            raise Unreadable(f"a query of more than {MAX_TOKENS} words")
        text = match[0]
        last = text.lower()
        if kind == "text":
            yield _Token("text", _unquoted(text), line)
        else:
            yield _Token("word" if kind == "quoted" else kind, text.strip("`") if kind == "quoted" else text, line)


def _unquoted(text: str) -> str:
    if text.startswith('"""'):
        return text[3:-3]
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _filters_only(tokens: list[_Token]) -> list[_Token]:
    """Keep the ``filter`` commands, each as a group."""
    kept: list[_Token] = []
    command: list[_Token] = []
    for token in [*tokens, _Token("sign", "|")]:
        if (token.kind, token.text) != ("sign", "|"):
            command.append(token)
            continue
        if command and command[0].text.lower() == "filter":
            kept += [_Token("sign", "("), *command[1:], _Token("sign", ")")]
        command = []
    return kept


def _scan(tokens: list[_Token], language: str) -> Iterator[Condition]:
    groups: list[bool] = []
    wanted, turned = True, False
    at = 0
    while at < len(tokens):
        token = tokens[at]
        lower = token.text.lower()
        if token.kind == "sign" and token.text in "([{":
            groups.append(wanted)
            wanted, turned = wanted != turned, False
        elif token.kind == "sign" and token.text in ")]}":
            wanted, turned = groups.pop() if groups else True, False
        elif lower in ("not", "!") and token.kind != "text":
            turned = not turned
        elif token.kind == "word" and lower in ("and", "or"):
            turned = False
        elif token.kind == "word":
            found, after = _comparison(tokens, at, language, wanted != turned)
            yield from found
            if after > at + 1:
                at, turned = after, False
                continue
            if lower == "ispresent" and at + 2 < len(tokens):
                asked = tokens[at + 2]
                yield Condition(field=asked.text, form=Form.USED, wanted=wanted != turned, line=asked.line)
                at += 4
                continue
        at += 1


def _comparison(tokens: list[_Token], at: int, language: str, wanted: bool) -> tuple[list[Condition], int]:
    """Read ``field operator values`` at a word; the second value is where it ends, ``at + 1`` where there is none."""
    named, start = tokens[at], at + 1
    at = start
    if at < len(tokens) and tokens[at] == _Token("word", "not"):
        wanted, at = not wanted, at + 1
    if at + 1 >= len(tokens) or tokens[at].kind == "text":
        return [], start
    sign = tokens[at].text.lower()
    if sign in ("!=", "!~"):
        wanted, sign = not wanted, "=" if sign == "!=" else "=~"
    if sign in ("<", ">", "<=", ">=", "is"):
        return [Condition(field=named.text, form=Form.USED, wanted=wanted, line=named.line)], at + 1
    if sign not in _EQUAL:
        return [], start
    found: list[Condition] = []
    end = at + 1
    for token, is_wanted in _values(tokens, end, wanted):
        end += 1
        if token.kind in ("text", "regex") or (token.kind == "word" and language == "kuery" and sign == ":"):
            if token.kind != "word" or token.text.lower() not in _JOINTS:
                found.append(_condition(named, token, sign, language, is_wanted))
        elif token.kind == "word" and token.text.lower() not in _JOINTS:
            found.append(Condition(field=named.text, form=Form.USED, wanted=wanted, line=named.line))
    return found, end


def _values(tokens: list[_Token], at: int, wanted: bool) -> Iterator[tuple[_Token, bool]]:
    """Yield what belongs to a comparison: one value, or a group of them; each with whether it is wanted."""
    depth, inner = 0, wanted
    for token in tokens[at:]:
        if token.kind == "sign":
            depth += (token.text in "([") - (token.text in ")]")
            if depth < 0 or (not depth and token.text not in ")]"):
                return
        elif depth and token.kind == "word" and token.text.lower() in _JOINTS:
            inner = not inner if token.text.lower() == "not" else wanted
        yield token, inner
        if not depth:
            return


def _condition(named: _Token, token: _Token, sign: str, language: str, wanted: bool) -> Condition:
    ignore_case = (sign.endswith("~") and sign != "=~") or (language == "eql" and sign == ":")
    form, value = Form.TEXT, token.text
    if token.kind == "regex" or sign in ("=~", "regex", "regex~", "rlike"):
        form = Form.REGEX
        if sign in ("regex", "regex~", "rlike"):
            value = f"^(?:{value})$"  # Elastic anchors them
    elif language == "insights" and sign == "like":
        form, value = Form.GLOB, f"*{value}*"
    elif language == "kuery" and token.kind == "word":
        form = Form.GLOB if "*" in value else Form.TEXT
        value = value.replace("\\", "")
    elif sign in ("like", "like~") or (language == "eql" and sign == ":"):
        form = Form.GLOB if "*" in value or "?" in value else Form.TEXT
    return Condition(
        field=named.text,
        value=value,
        form=form,
        wanted=wanted,
        ignore_case=ignore_case,
        written=token.text,
        line=token.line,
        field_line=named.line,
    )
