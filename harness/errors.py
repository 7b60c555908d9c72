"""Every error that a user can meet: one base class, and each says what to do about it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; CI jobs depend on them."""

    OK = 0
    """As expected."""
    DRIFT = 1
    """Drift, or a contradiction with a documented table."""
    INTERRUPTED = 2
    """Interrupted; what was journaled is kept, and on a target that goes on the run can be resumed."""
    INTERNAL = 3
    """A defect in s3logjam itself: please report it."""
    USAGE = 4
    """Wrong use, or a preflight check failed; nothing was measured."""
    NOTHING_SELECTED = 5
    """The selection matches no operation."""
    PENDING = 6
    """The deadline passed with records still pending."""


class LogjamError(Exception):
    """Base class: the message says what went wrong and what to do."""

    exit_code = ExitCode.USAGE


class UsageError(LogjamError):
    """An option or argument cannot be used: correct it and run again."""


class PreflightError(LogjamError):
    """The environment cannot serve the run: the message names what is missing."""


class NothingSelectedError(LogjamError):
    """No operation matches: see ``s3logjam list`` for what there is."""

    exit_code = ExitCode.NOTHING_SELECTED


class TargetError(LogjamError):
    """The target cannot be started or reached: check that the port is free, or the endpoint is up."""


class TargetGoneError(TargetError):
    """The embedded server of the run has ended, and everything in it with it: start a new run."""


class CredentialsError(LogjamError):
    """The credentials have expired in the middle: sign in again, then ``s3logjam resume`` or ``s3logjam teardown``."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("the AWS credentials have expired: sign in again; nothing that was measured is lost")


class JournalError(LogjamError):
    """The journal cannot be read or written: check the path, its permissions and the free disk space."""


class DamagedJournalError(JournalError):
    """The journal is damaged, or another file: see what the message says, or ``s3logjam teardown --sweep``."""

    def __init__(self, path: object, why: str) -> None:
        super().__init__(f"{path} is not an s3logjam journal, or damaged: {why}")


class ScenarioError(LogjamError):
    """A scenario is declared wrongly: the message names it and what to change."""


class InterruptedAgainError(LogjamError):
    """The clean-up after an interruption was interrupted too: resources may be left, the journal names them."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, folder: object) -> None:
        super().__init__(f"interrupted while cleaning up: `s3logjam teardown {folder}` deletes what is left")
