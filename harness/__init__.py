"""s3logjam: measures which Amazon S3 call appears in which log, under which names, with which fields, and how late."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load_run"]

if TYPE_CHECKING:
    from harness.results import load_run


def __getattr__(name: str) -> Any:
    """Import ``load_run`` (and pandas with it) only when it is asked for: the CLI starts faster."""
    if name == "load_run":
        from harness.results import load_run  # noqa: PLC0415

        return load_run
    raise AttributeError(name)
