"""The interface that ``scenarios/`` is written in: what an operation needs, and the call under test.

A configuration family is one declaration (``configuration``); everything else is a function whose parameters name what
it needs, as a pytest test names its fixtures (``scenario``, ``fixture``). docs/scenarios.md shows one of each kind.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, overload

from botocore import xform_name
from botocore.exceptions import ClientError

from harness import catalogue
from harness.catalogue.expected import expected
from harness.clock import Clock
from harness.errors import LogjamError, ScenarioError
from harness.model import CellKey

UNSIGNED = frozenset({"CorsPreflight"})
"""Request forms that nobody signs: a browser asks them before it asks for anything."""


@dataclass(frozen=True, slots=True)
class Records:
    """How many records a call is expected to leave: 0 where the documents say that it leaves none.

    The numbers of the other channels follow from these two (``catalogue/expected.py``).
    """

    server_access: int = 1
    cloudtrail: int = 1


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
    capabilities: frozenset[str]
    site: Any

    def new_name(self, kind: str) -> str:
        """Return an object key that this run has not used."""
        ...

    def new_bucket(self, **parameters: Any) -> str:
        """Create a further source bucket, logged like the main one, and remember it for teardown."""
        ...

    def directory_bucket(self) -> str:
        """Create a directory bucket, or return a well-formed name where the target has none."""
        ...

    def access_point(self) -> tuple[str, str]:
        """Return ARN and alias of the access point of the main source bucket; made at the first call."""
        ...

    def resource_name(self, kind: str, stem: str) -> str:
        """Return a name for a resource that the scenario will create, and remember it for teardown.

        Args:
            kind: As ``environment/teardown.py`` names it, e.g. ``access-point``.
            stem: What the name tells of it.
        """
        ...

    def bucket_name(self) -> str:
        """Return a name for a bucket that the call under test will create, and remember it for teardown."""
        ...


Change = Callable[[dict[str, Any], Surroundings], dict[str, Any]]
"""Turns a scenario's parameters into those of a variant."""


class How(Protocol):
    """What a variant may use to make the call in its own way."""

    operation: str
    surroundings: Surroundings

    def client(self, kind: str = "owner") -> Any:
        """Return an S3 client of a kind (``execute/clients.py``)."""
        ...

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Any:
        """Send a raw HTTP request, redirects not followed; returns status, headers and body."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A way in which any scenario's call can be made; ``scenarios/variants.py`` declares them.

    Attributes:
        meaning: What it is, for the docs.
        client: Whose client makes the call.
        change: Changes the parameters.
        via: Makes the call instead of boto3, for presigned URLs and the like.
        fails: HTTP statuses that make the variant what it says; empty: success.
        rename: Changes the keys of objects that the scenario makes.
        headers: Sent beside those of the request, not signed; a ``User-Agent`` is appended to the usual one.
        records: Expected records, from those of the scenario; one each where the call fails.
        everywhere: For which operations it holds without being asked for.
        served: Whether a target must have what the scenario requires; a call that is refused before needs nothing.
        iam: IAM actions that it needs beside the scenario's.
        by_access_point: Whether the call goes through an access point, which must be allowed it too.
    """

    name: str
    meaning: str
    client: str = "owner"
    change: Change | None = None
    via: Callable[[How, dict[str, Any]], Any] | None = None
    fails: tuple[int, ...] = ()
    rename: Callable[[str], str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    records: Callable[[Records], Records] | None = None
    everywhere: Callable[[str], bool] = lambda _operation: False
    served: bool = True
    requires: frozenset[str] = frozenset()
    iam: tuple[str, ...] = ()
    by_access_point: bool = False


OK = Variant(name="ok", meaning="by the owner, with everything in place")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One (operation, variant): what it needs, what it may leave, and the function that makes the call.

    Attributes:
        needs: Names of the fixtures that ``run`` takes.
        variants: Names of further variants in which the call is worth making.
        how: The variant of this scenario.
        requires: Capabilities that the target must have.
        iam: IAM actions that the calls need, ``s3:`` included; ``permissions_of`` adds those of the fixtures.
        service: botocore's service of the operation; ``form`` for request forms that botocore has no name for.
    """

    operation: str
    run: Callable[..., object]
    needs: tuple[str, ...] = ()
    variant: str = "ok"
    variants: tuple[str, ...] = ()
    how: Variant = OK
    records: Records = field(default_factory=Records)
    iam: tuple[str, ...] = ()
    requires: frozenset[str] = frozenset()
    fails: tuple[int, ...] = ()

    @property
    def cell(self) -> CellKey:
        """The row of the matrix that this scenario fills."""
        return CellKey(operation=self.operation, variant=self.variant)

    def expected(self) -> dict[str, int]:
        """Return the expected records of one call by channel."""
        records = self.records
        return expected(
            self.operation,
            records.server_access,
            records.cloudtrail,
            succeeds=min(self.fails, default=200) < 300,
            signed=self.how.client != "anonymous" and self.operation not in UNSIGNED,
        )

    def as_variant(self, how: Variant) -> Scenario:
        """Return this scenario in another variant."""
        records = self.records
        # A control operation's resources must exist before its call can be refused.
        refused = not how.served and not self.operation.startswith(catalogue.CONTROL_PREFIX)
        if how.fails:
            records = Records(min(1, records.server_access), min(1, records.cloudtrail))
        return replace(
            self,
            variant=how.name,
            variants=(),
            how=how,
            fails=how.fails,
            records=how.records(records) if how.records else records,
            # What is refused for want of permission needs none, and may not even be there.
            iam=() if refused and self.requires else tuple(dict.fromkeys((*self.iam, *how.iam))),
            requires=(frozenset() if refused else self.requires) | how.requires,
        )


Fixture = Callable[..., Any]
_scenarios: dict[CellKey, Scenario] = {}
_variants: dict[str, Variant] = {}
_exclusions: dict[str, str] = {}
_fixtures: dict[str, Fixture] = {}
_fixture_iam: dict[str, tuple[str, ...]] = {}


def register(scenario_: Scenario) -> Scenario:
    """Add a scenario to the registry and return it.

    Raises:
        ScenarioError: The cell has a scenario already.
    """
    if scenario_.cell in _scenarios:
        raise ScenarioError(f"{scenario_.cell} has two scenarios: give one of them another variant")
    _scenarios[scenario_.cell] = scenario_
    return scenario_


def variant(name: str, **properties: Any) -> Variant:
    """Declare a variant (see ``Variant`` for its properties) and return it."""
    _variants[name] = Variant(name=name, **properties)
    return _variants[name]


def scenario(
    operation: str,
    *,
    variant: str = "ok",
    variants: Sequence[str] = (),
    fails: Sequence[int] = (),
    records: Records | None = None,
    iam: Sequence[str] | None = None,
    requires: Sequence[str] = (),
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Declare a function as the scenario of an operation; its parameters name fixtures, ``call`` makes the call.

    Args:
        operation: botocore's operation name.
        variant: How the call is made, or its outcome, where a function of its own is needed for it.
        variants: Further variants by name (``scenarios/variants.py``), made with this same function.
        fails: HTTP statuses that the call is meant to end with; none for success.
        records: Expected records per call and channel; one each by default.
        iam: IAM actions that its calls need; ``s3:<operation>`` by default. Fixtures declare their own.
        requires: Capabilities that a target must have, e.g. ``directory-buckets``.
    """

    def declare(function: Callable[..., object]) -> Callable[..., object]:
        register(
            Scenario(
                operation=operation,
                run=function,
                needs=tuple(inspect.signature(function).parameters),
                variant=variant,
                variants=tuple(variants),
                fails=tuple(fails),
                records=records or Records(),
                iam=(f"s3:{operation}",) if iam is None else tuple(iam),
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


@overload
def fixture(function: Fixture) -> Fixture: ...


@overload
def fixture(*, iam: Sequence[str]) -> Callable[[Fixture], Fixture]: ...


def fixture(function: Fixture | None = None, *, iam: Sequence[str] = ()) -> Fixture | Callable[[Fixture], Fixture]:
    """Declare what scenarios can ask for by parameter name; a generator's code after ``yield`` cleans up.

    Args:
        function: The fixture, where the decorator is used without arguments.
        iam: IAM actions that its calls need; what makes, empties and deletes a bucket every run has.
    """

    def declare(function: Fixture) -> Fixture:
        _fixtures[function.__name__], _fixture_iam[function.__name__] = function, tuple(iam)
        return function

    return declare(function) if function else declare


def permissions_of(scenario_: Scenario) -> frozenset[str]:
    """Return the IAM actions that a scenario needs: its own, and those of the fixtures that it asks for."""
    actions, names = set(scenario_.iam), list(scenario_.needs)
    for name in names:
        actions.update(_fixture_iam.get(name, ()))
        function = _fixtures.get(name)
        names += [n for n in (inspect.signature(function).parameters if function else ()) if n not in names]
    return frozenset(actions)


def configuration(
    family: str,
    *,
    put: Mapping[str, Any] | Callable[..., Mapping[str, Any]],
    on: str = "bucket",
    identifier: str | None = None,
    operations: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    iam: Mapping[str, str] | None = None,
    further_iam: Sequence[str] = (),
    requires: Sequence[str] = (),
    missing: Sequence[str] = (),
    variants: Mapping[str, Sequence[str]] | None = None,
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
        further_iam: What the Put needs beside its own action, and teardown because of it.
        requires: Capabilities that a target must have.
        missing: Verbs that end with 404 where no configuration was put: the variant ``missing``.
        variants: Verbs to further variants by name.
    """
    usual = {"put": f"Put{family}", "get": f"Get{family}", "list": f"List{family}s", "delete": f"Delete{family}"}
    names = {verb: name for verb, name in (usual | dict(operations or {})).items() if name in catalogue.operations()}
    if "put" not in names:
        raise ScenarioError(f"configuration {family!r}: botocore knows no {usual['put']}; name it in operations")
    put_needs = tuple(inspect.signature(put).parameters) if callable(put) else ()

    def run_verb(verb: str, put_first: bool, fixtures: Mapping[str, Any]) -> None:
        target, s3, call = fixtures[on], fixtures["s3"], fixtures["call"]
        place: dict[str, Any] = dict(parameters or {})
        if isinstance(target, StoredObject):
            place |= {"Bucket": target.bucket, "Key": target.key}
        else:
            place["Bucket"] = target
        value = put(**{name: fixtures[name] for name in put_needs}) if callable(put) else put
        named = place | ({identifier: value[identifier]} if identifier else {})
        if not put_first and "delete" in names:
            # Some families are there by default on AWS: public access block, ownership controls.
            with suppress(ClientError):
                getattr(s3, method_of(names["delete"]))(**named)
        try:
            if verb == "put":
                call(**place, **value)
                return
            if put_first:
                getattr(s3, method_of(names["put"]))(**place, **value)
            call(**(place if verb == "list" else named))
        finally:
            if "delete" in names and put_first:
                # A family's Delete is idempotent or answers 404; either way nothing is left for the next scenario.
                with suppress(ClientError):
                    getattr(s3, method_of(names["delete"]))(**named)

    def define(verb: str, operation: str, *, put_first: bool = True) -> None:
        used = [v for v in (verb, "put", "delete") if v in names and (v != "put" or put_first)]
        actions = {(iam or {}).get(v, f"s3:{names[v]}") for v in used} | set(further_iam if put_first else ())
        register(
            Scenario(
                operation=operation,
                run=lambda **fixtures: run_verb(verb, put_first, fixtures),
                needs=tuple(dict.fromkeys(("call", "s3", on, *put_needs))),
                variant="ok" if put_first else "missing",
                variants=tuple((variants or {}).get(verb, ())) if put_first else (),
                fails=() if put_first else (404,),
                iam=tuple(sorted(actions)),
                requires=frozenset(requires),
            )
        )

    for verb, operation in names.items():
        define(verb, operation)
        if verb in missing:
            define(verb, operation, put_first=False)


def method_of(operation: str) -> str:
    """Return boto3's client method for an operation, e.g. ``put_bucket_acl``."""
    return str(xform_name(operation))


def load(package: str = "scenarios", *, extra: Sequence[Path] = ()) -> None:
    """Import every module of the scenario package: importing registers what it declares.

    Args:
        package: The package of scenarios.
        extra: Files or folders of a user's own scenarios, imported after it.

    Raises:
        ScenarioError: A file cannot be imported.
    """
    root = importlib.import_module(package)
    for module in pkgutil.iter_modules(root.__path__, f"{package}."):
        importlib.import_module(module.name)
    for path in extra:
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            _import_file(file)


def _import_file(file: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"s3logjam_user_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise ScenarioError(f"{file} is no Python file")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except LogjamError:
        raise
    except Exception as error:
        raise ScenarioError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error


def all_scenarios() -> Mapping[CellKey, Scenario]:
    """Return every scenario by cell: those declared, and their variants, in the order of declaration.

    Raises:
        ScenarioError: A scenario names a variant that does not exist.
    """
    result: dict[CellKey, Scenario] = {}
    for base in _scenarios.values():
        result[base.cell] = base
        if base.variant != OK.name:
            continue
        unknown = [name for name in base.variants if name not in _variants]
        if unknown:
            raise ScenarioError(f"{base.cell} names unknown variants: {', '.join(unknown)}")
        for how in _variants.values():
            derived = base.as_variant(how)
            wanted = how.name in base.variants or how.everywhere(base.operation)
            if wanted and derived.cell not in _scenarios:
                result[derived.cell] = derived
    return result


def all_variants() -> Mapping[str, Variant]:
    """Return the declared variants by name."""
    return {OK.name: OK, **_variants}


def all_exclusions() -> Mapping[str, str]:
    """Return excluded operations with their reasons."""
    return dict(_exclusions)


@contextmanager
def prepared(
    scenario_: Scenario, surroundings: Surroundings, call: Caller, more: Mapping[str, Any] | None = None
) -> Iterator[Callable[[], object]]:
    """Make what a scenario's parameters name, and yield the scenario as a function without parameters.

    What fixtures made is cleaned up on leaving, the last first; a clean-up that fails does not hide the scenario's own
    failure.

    Raises:
        ScenarioError: A parameter names no fixture.
    """
    with ExitStack() as stack:
        made: dict[str, Any] = {"call": call, "s3": surroundings.s3, "bucket": surroundings.bucket, **(more or {})}
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
                stack.push(partial(_clean_up, generator))
            made[name] = value
            return value

        arguments = {name: provide(name) for name in scenario_.needs}
        yield lambda: scenario_.run(**arguments)


def _clean_up(generator: Iterator[Any], failure: type[BaseException] | None, *_: object) -> None:
    """Run a fixture's code after its ``yield``; its own error counts only when nothing else has failed."""
    with suppress(Exception) if failure else nullcontext():
        next(generator, None)
