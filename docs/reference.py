"""Makes docs/cli.md from the command's own help: ``python docs/reference.py > docs/cli.md``; a test compares them."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import typer

from harness import errors
from harness.cli import app
from harness.errors import ExitCode

_PAGE = re.compile(r"\bdocs/([a-z-]+\.md)")
_ELSEWHERE = re.compile(r"(?<!\[)\bresults/README\.md")


def page() -> str:
    """Return the page."""
    group: Any = typer.main.get_command(app)
    lines = ["# Command line", "", "Made from `s3logjam --help` by `python docs/reference.py > docs/cli.md`.", ""]
    lines += [linked(group.help), "", *_exit_codes(), ""]
    lines += ["## Commands", "", "| command | what it does |", "|---|---|"]
    lines += [f"| [`{name}`](#{name}) | {_first(command)} |" for name, command in group.commands.items()]
    for name, command in group.commands.items():
        lines += ["", f"## {name}", "", *_command(name, command)]
    lines += ["", "## Output for programs", "", _OUTPUT]
    return "\n".join(lines)


_OUTPUT = """\
With `--output json` a command prints exactly one JSON document on standard output, in ASCII; progress and warnings are
on standard error. The document names its target (`target`, `target_note`, `clock_factor`; of `diff`, B; null where
documents speak alone) and repeats the exit code (`exit_code`); `policy` prints the policy as IAM takes it. Where a
command ends with an error, the message is on standard error and there is no document. Of a run in several Regions the
document is `{"exit_code": …, "regions": {"us-east-1": {…}, …}}`.

Where nobody reads on (`s3logjam list | head -3`), a command ends with 141, as others do that a broken pipe ends; a run
ends as on Ctrl+C before.

On a terminal, progress is a live view that is gone afterwards; elsewhere it is plain lines, and tables are as wide as
their names, or as `COLUMNS`, where that is set. `NO_COLOR` is honoured."""


def exit_codes() -> dict[ExitCode, str]:
    """Return what the source says of each exit code: the string below a member is for readers, not kept at run time."""
    (body,) = (each.body for each in ast.walk(ast.parse(inspect.getsource(errors.ExitCode))) if hasattr(each, "bases"))
    told: dict[ExitCode, str] = {}
    for member, text in pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            (name,) = member.targets
            told[ExitCode[ast.unparse(name)]] = str(ast.literal_eval(text.value))
    return told


def _exit_codes() -> Iterator[str]:
    yield from ("## Exit codes", "", "| code | name | meaning |", "|---|---|---|")
    for code, meaning in exit_codes().items():
        yield f"| {code.value} | `{code.name}` | {meaning} |"


def _command(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    pieces = " ".join(command.collect_usage_pieces(context)).replace("{RULES...}...", "RULES...")
    yield from ("```", f"s3logjam {name} {pieces}", "```", "")
    yield linked(command.help)
    records = {kind: [] for kind in ("argument", "option")}
    for parameter in command.params:
        if parameter.get_help_record(context):
            records[parameter.param_type_name].append(parameter.get_help_record(context))
    for kind, found in records.items():
        if found:
            yield from ("", f"| {kind} | |", "|---|---|")
            yield from (f"| `{_cell(usage)}` | {linked(_cell(text))} |" for usage, text in found)


def _first(command: Any) -> str:
    return linked(_cell(re.split(r"(?<=\.)\s", command.help.strip(), maxsplit=1)[0]))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def linked(text: str) -> str:
    """Return a help text with its mentions of pages as links, and globs and placeholders as they are."""
    parts = text.split("`")
    for n in range(0, len(parts), 2):  # outside of code
        plain = parts[n].replace("*", "\\*").replace("<", "&lt;")
        parts[n] = _ELSEWHERE.sub("[results/README.md](files.md)", _PAGE.sub(r"[\1](\1)", plain))
    return "`".join(parts)


if __name__ == "__main__":
    print(page())
