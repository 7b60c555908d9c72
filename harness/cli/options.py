"""What several commands take alike: options, their forms, and how their texts are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError
from harness.targets.choice import TargetName

if TYPE_CHECKING:
    from harness.diff import Reference


class ListOutput(StrEnum):
    """Forms of ``list``."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


class TextOutput(StrEnum):
    """Forms of most commands."""

    TEXT = "text"
    JSON = "json"


class PolicyOutput(StrEnum):
    """Forms of ``policy``."""

    JSON = "json"
    CLOUDFORMATION = "cloudformation"
    TERRAFORM = "terraform"


class LintOutput(StrEnum):
    """Forms of ``lint``."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class DiffOutput(StrEnum):
    """Forms of ``diff``."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_SECONDS = 3650 * 86_400

TargetOption = Annotated[TargetName, typer.Option(help="Where calls go (docs/aws.md, docs/localstack.md).")]
AccountOption = Annotated[
    str | None, typer.Option(help="The account that the run may work in, and no other; --target aws demands it.")
]
DetachOption = Annotated[
    bool, typer.Option("--detach", help="Stop after the last call: `resume` waits for the records, any day.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="AWS: do not ask before anything is created, for scripts.")]
ProfileOption = Annotated[str | None, typer.Option(help="AWS: profile of your AWS configuration.")]
RegionOption = Annotated[
    list[str] | None,
    typer.Option(help="Region; the profile's by default, us-east-1 elsewhere. Several: a run in each, side by side."),
]
RoleOption = Annotated[str | None, typer.Option(help="AWS: ARN of a role to assume with those credentials.")]
EndpointOption = Annotated[
    str | None,
    typer.Option(help="LocalStack: its endpoint; AWS_ENDPOINT_URL, LOCALSTACK_HOST or localhost:4566 by default."),
]

OutputOption = Annotated[
    TextOutput, typer.Option("--output", help="Text, or one JSON document; progress is then on standard error.")
]


def duration(text: str) -> timedelta:
    """Read ``90s``, ``45m``, ``6h``, ``2d`` or a sum like ``1h30m``."""
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        raise UsageError(f"{text!r} is not a duration: write 90s, 45m, 6h, 2d or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST_SECONDS:
        raise UsageError(f"{text!r} is too long: at most 10 years")
    return timedelta(seconds=seconds)


def split(values: list[str] | None) -> tuple[str, ...]:
    """Read an option that may be repeated, and that takes several values with commas."""
    parts = tuple(part.strip() for value in values or [] for part in value.split(",") if part.strip())
    if values and not parts:
        raise UsageError("an option was given without a value: an empty selection does not mean everything")
    return parts


def account_id(text: str | None) -> str | None:
    """Read an account id."""
    if text is not None and not re.fullmatch(r"\d{12}", text):
        raise UsageError(f"{text!r} is no account id: it has twelve digits")
    return text


def role_arn(text: str | None) -> str | None:
    """Read the ARN of a role."""
    if text is not None and not _ROLE.fullmatch(text):
        raise UsageError(f"{text!r} is no role ARN: arn:aws:iam::444455556666:role/name")
    return text


def reference(baseline: Path | None, known: Path | None) -> Reference | None:
    """Read what a run is held against, before anything is done.

    Raises:
        UsageError: It cannot be read or understood.
    """
    if baseline is None and known is None:
        return None
    from harness.diff import reference as read  # noqa: PLC0415 - scipy loads slowly

    return read(baseline, known)


def print_document(document: Mapping[str, Any]) -> None:
    """Print a command's result as JSON."""
    from harness.report.outcome import as_text  # noqa: PLC0415 - pandas loads slowly

    typer.echo(as_text(document))


def on_each_region(context: typer.Context, run_path: Path) -> None:
    """Where a folder holds runs in several Regions, do the command on each of them, and end."""
    from harness.regions import on_each  # noqa: PLC0415 - pandas loads slowly

    options = [argument for argument in context.obj[1:] if argument != str(run_path)]
    code = on_each(context.obj[0], run_path, options, as_json=context.params.get("output") is TextOutput.JSON)
    if code is not None:
        raise typer.Exit(code)
