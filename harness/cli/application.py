"""The command itself: what ``s3logjam --help`` says first, and what all commands are added to."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import __version__, catalogue

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"s3logjam {__version__} (botocore {catalogue.botocore_version()})")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Measures which Amazon S3 call appears in which log, under which names, with which fields, and how late.

    Start with `s3logjam run`: it executes every S3 API call against a server on this machine that delivers logs as AWS
    does, waits for the records, and writes a coverage matrix to `results/latest`. That proves the harness, never AWS.

    Exit codes: 0 as expected, 1 drift or contradiction, 2 interrupted, 3 internal error, 4 usage or preflight,
    5 nothing selected, 6 deadline passed with records still pending.
    """
