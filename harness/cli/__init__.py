"""Arguments in, events out, no logic: the ``s3logjam`` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

# Importing them adds their commands, in the order in which the help names them.
from harness.cli import running, planning, reading, serving  # isort: skip
from harness.cli.application import app
from harness.cli.options import duration
from harness.errors import ExitCode, LogjamError

__all__ = ["app", "duration", "main", "planning", "reading", "running", "serving"]
_TYPER_INTERRUPTED = 130
_BROKEN_PIPE = 128 + signal.SIGPIPE
"""What a shell tells of a process that writes where nobody reads: neither drift nor any other of ours."""


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _done(arguments: list[str]) -> int:
    """Do a command and return its exit code."""
    try:
        code = app(args=arguments, standalone_mode=False, obj=arguments) or ExitCode.OK
        sys.stdout.flush()
    except (SystemExit, BrokenPipeError):  # the former is how typer and rich end where nobody reads
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    return int(code)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command; every error becomes a message and an exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        told = sys.argv[1:] if arguments is None else arguments
        code = _done(told)
        if code == _TYPER_INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code)
    except typer.TyperException as error:
        show = getattr(error, "show", None)
        if show:
            show()
        else:
            typer.echo(f"Error: {error}", err=True)
        sys.exit(ExitCode.USAGE)
    except LogjamError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Interrupted.", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        text = f"Internal error ({type(error).__name__}): {error}{notes}\nPlease report it with the command line."
        typer.echo(text, err=True)
        sys.exit(ExitCode.INTERNAL)
