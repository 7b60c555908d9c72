"""The interface that ``scenarios/`` is written in: what an operation needs, and the call under test.

A configuration family is one declaration (``configuration``); everything else is a function whose parameters name what
it needs, as a pytest test names its fixtures (``scenario``, ``fixture``). docs/scenarios.md shows one of each kind.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore import xform_name

from harness import catalogue
from harness.clock import Clock
from harness.errors import ScenarioError
from harness.model import CLOUDTRAIL, SERVER_ACCESS, CellKey


@dataclass(frozen=True, slots=True)
class Records:
    """How many records a call is expected to leave in each channel: 0 where the documents say that it leaves none.

    An expectation only decides how long to wait and what counts as ``partly logged``; it never makes a verdict.
    """

    server_access: int = 1
    cloudtrail: int = 1

    def by_channel(self) -> dict[str, int]:
        """Return the numbers by channel name."""
        return {SERVER_ACCESS: self.server_access, CLOUDTRAIL: self.cloudtrail}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that a fixture has put."""

    bucket: str
    key: str
    body: bytes
    version_id: str | None = None


class Caller(Protocol):
    """The call under test: keyword arguments of the scenario's operation, as boto3 takes them."""

    def __call__(self, **parameters: Any) -> Any:
        """Make the call and return boto3's answer."""
        ...


class Surroundings(Protocol):
    """What the engine gives to fixtures."""

    s3: Any
    bucket: str
    account_id: str
    region: str
    clock: Clock

    def new_name(self, kind: str) -> str:
        """Return an object key that this run has not used."""
        ...

    def new_bucket(self, **parameters: Any) -> str:
        """Create a further source bucket, logged like the main one, and remember it for teardown."""
        ...

    def bucket_name(self) -> str:
        """Return a name for a bucket that the call under test will create, and remember it for teardown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One (operation, variant): what it needs, what it may leave, and the function that makes the call.

    Attributes:
        needs: Names of the fixtures that ``run`` takes.
        requires: Capabilities that the target must have.
        iam: IAM actions that the calls need, ``s3:`` included.
    """

    operation: str
    run: Callable[..., object]
    needs: tuple[str, ...] = ()
    variant: str = "ok"
    records: Records = field(default_factory=Records)
    iam: tuple[str, ...] = ()
    requires: frozenset[str] = frozenset()

    @property
    def cell(self) -> CellKey:
        """The row of the matrix that this scenario fills."""
        return CellKey(operation=self.operation, variant=self.variant)


Fixture = Callable[..., Any]
_scenarios: dict[CellKey, Scenario] = {}
_exclusions: dict[str, str] = {}
_fixtures: dict[str, Fixture] = {}


def register(scenario_: Scenario) -> Scenario:
    """Add a scenario to the registry and return it.

    Raises:
        ScenarioError: The cell has a scenario already.
    """
    if scenario_.cell in _scenarios:
        raise ScenarioError(f"{scenario_.cell} has two scenarios: give one of them another variant")
    _scenarios[scenario_.cell] = scenario_
    return scenario_


def scenario(
    operation: str,
    *,
    variant: str = "ok",
    records: Records | None = None,
    iam: Sequence[str] = (),
    requires: Sequence[str] = (),
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Declare a function as the scenario of an operation; its parameters name fixtures, ``call`` makes the call.

    Args:
        operation: botocore's operation name.
        variant: How the call is made, or its outcome.
        records: Expected records per call and channel; one each by default.
        iam: IAM actions that the call needs; ``s3:<operation>`` by default.
        requires: Capabilities that a target must have, e.g. ``directory-buckets``.
    """

    def declare(function: Callable[..., object]) -> Callable[..., object]:
        register(
            Scenario(
                operation=operation,
                run=function,
                needs=tuple(inspect.signature(function).parameters),
                variant=variant,
                records=records or Records(),
                iam=tuple(iam) or (f"s3:{operation}",),
                requires=frozenset(requires),
            )
        )
        return function

    return declare


def exclusion(operation: str, reason: str) -> None:
    """Declare that an operation has no scenario, and why."""
    if not reason:
        raise ScenarioError(f"the exclusion of {operation} needs a reason")
    _exclusions[operation] = reason


def fixture(function: Fixture) -> Fixture:
    """Declare what scenarios can ask for by parameter name; a generator's code after ``yield`` cleans up."""
    _fixtures[function.__name__] = function
    return function


def configuration(
    family: str,
    *,
    put: Mapping[str, Any] | Callable[..., Mapping[str, Any]],
    on: str = "bucket",
    identifier: str | None = None,
    operations: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    iam: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
) -> None:
    """Declare a configuration family: its Put, Get, List and Delete scenarios follow from it.

    Args:
        family: The common part of the names, e.g. ``BucketCors`` for ``PutBucketCors`` and ``GetBucketCors``.
        put: Parameters of the Put beside those that name the resource; a function may name fixtures and return them.
        on: The fixture that it is put on: ``bucket``, ``fresh_bucket``, ``stored_object``, …
        identifier: The parameter in ``put`` that names one configuration of several (``Id``).
        operations: Verbs to operation names where they do not follow from ``family``; a verb that the model does not
            know is left out.
        parameters: What every verb takes beside those that name the resource.
        iam: Verbs to IAM actions, where they differ from ``s3:<operation>``.
        requires: Capabilities that a target must have.
    """
    usual = {"put": f"Put{family}", "get": f"Get{family}", "list": f"List{family}s", "delete": f"Delete{family}"}
    names = {verb: name for verb, name in (usual | dict(operations or {})).items() if name in catalogue.operations()}
    if "put" not in names:
        raise ScenarioError(f"configuration {family!r}: botocore knows no {usual['put']}; name it in operations")
    put_needs = tuple(inspect.signature(put).parameters) if callable(put) else ()

    def run_verb(verb: str, fixtures: Mapping[str, Any]) -> None:
        target, s3, call = fixtures[on], fixtures["s3"], fixtures["call"]
        place: dict[str, Any] = dict(parameters or {})
        if isinstance(target, StoredObject):
            place |= {"Bucket": target.bucket, "Key": target.key}
        else:
            place["Bucket"] = target
        value = put(**{name: fixtures[name] for name in put_needs}) if callable(put) else put
        named = place | ({identifier: value[identifier]} if identifier else {})
        if verb == "put":
            call(**place, **value)
        else:
            getattr(s3, method_of(names["put"]))(**place, **value)
            call(**(place if verb == "list" else named))
        if verb != "delete" and "delete" in names:
            getattr(s3, method_of(names["delete"]))(**named)

    for verb, operation in names.items():
        used = [v for v in (verb, "put", "delete") if v in names]
        register(
            Scenario(
                operation=operation,
                run=lambda verb=verb, **fixtures: run_verb(verb, fixtures),
                needs=tuple(dict.fromkeys(("call", "s3", on, *put_needs))),
                iam=tuple(sorted({(iam or {}).get(v, f"s3:{names[v]}") for v in used})),
                requires=frozenset(requires),
            )
        )


def method_of(operation: str) -> str:
    """Return boto3's client method for an operation, e.g. ``put_bucket_acl``."""
    return str(xform_name(operation))


def load(package: str = "scenarios") -> None:
    """Import every module of the scenario package: importing registers what it declares."""
    root = importlib.import_module(package)
    for module in pkgutil.iter_modules(root.__path__, f"{package}."):
        importlib.import_module(module.name)


def all_scenarios() -> Mapping[CellKey, Scenario]:
    """Return the registered scenarios by cell."""
    return dict(_scenarios)


def all_exclusions() -> Mapping[str, str]:
    """Return excluded operations with their reasons."""
    return dict(_exclusions)


@contextmanager
def prepared(scenario_: Scenario, surroundings: Surroundings, call: Caller) -> Iterator[Callable[[], object]]:
    """Make what a scenario's parameters name, and yield the scenario as a function without parameters.

    What fixtures made is cleaned up on leaving, the last first; a clean-up that fails does not hide the scenario's own
    failure.

    Raises:
        ScenarioError: A parameter names no fixture.
    """
    with ExitStack() as stack:
        made: dict[str, Any] = {"call": call, "s3": surroundings.s3, "bucket": surroundings.bucket}
        made |= {"account_id": surroundings.account_id, "clock": surroundings.clock, "surroundings": surroundings}

        def provide(name: str) -> Any:
            if name in made:
                return made[name]
            function = _fixtures.get(name)
            if function is None:
                known = ", ".join(sorted([*made, *_fixtures]))
                raise ScenarioError(f"{scenario_.cell} asks for {name!r}, which is no fixture; there are {known}")
            value = function(**{each: provide(each) for each in inspect.signature(function).parameters})
            if inspect.isgenerator(value):
                generator = value
                value = next(generator)
                stack.callback(lambda: next(generator, None))
            made[name] = value
            return value

        arguments = {name: provide(name) for name in scenario_.needs}
        yield lambda: scenario_.run(**arguments)
