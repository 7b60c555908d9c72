"""Arguments in, events out, no logic: the ``s3logjam`` command."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from harness import __version__, catalogue, scenario
from harness.errors import ExitCode, LogjamError, UsageError
from harness.journal import FILE_NAME, Journal
from harness.targets.choice import TargetName, Wanted, reopened, target_for
from harness.targets.embedded import ACCESS_KEY_ID, DEFAULT_FACTOR, NOTE, SECRET_ACCESS_KEY, EmbeddedTarget

if TYPE_CHECKING:
    from harness.selection import Options

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


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


_TYPER_INTERRUPTED = 130
HEARTBEAT = ("PutObject", "GetBucketLocation")
"""A data event and a management event, both in the access log."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
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
    typer.Option(help="Region; the profile's by default, us-east-1 elsewhere. Repeated: a run in each, side by side."),
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


def _split(values: list[str] | None) -> tuple[str, ...]:
    parts = tuple(part.strip() for value in values or [] for part in value.split(",") if part.strip())
    if values and not parts:
        raise UsageError("an option was given without a value: an empty selection does not mean everything")
    return parts


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


@app.command()
def run(
    context: typer.Context,
    target: TargetOption = TargetName.EMBEDDED,
    account: AccountOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    role: RoleOption = None,
    endpoint_url: EndpointOption = None,
    channels: Annotated[
        list[str] | None,
        typer.Option(
            help="Channels to measure: server-access and cloudtrail by default; all for all seven, none for none."
        ),
    ] = None,
    operations: Annotated[
        list[str] | None, typer.Option(help="Only operations that match a glob, e.g. 'Put*Acl'. May be repeated.")
    ] = None,
    variants: Annotated[
        list[str] | None, typer.Option(help="Only variants that match a glob, e.g. 'ok' or 'key-*'. May be repeated.")
    ] = None,
    scenarios: Annotated[
        list[Path] | None, typer.Option(help="File or folder of your own scenarios (docs/scenarios.md).")
    ] = None,
    behaviour: Annotated[
        list[str] | None,
        typer.Option(help="Embedded target: take another side, e.g. form-post=PostObject (docs/embedded.md)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each scenario is executed, interleaved.")] = 1,
    rate: Annotated[
        float, typer.Option(min=0, help="Scenario executions a minute on the run's clock, at most; 0: as many as go.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Repeats delays, names and order of an embedded run exactly.")] = 1,
    slow: Annotated[
        bool, typer.Option("--slow", help="Also wait for what S3 does by itself, for days: give --deadline 4d or more.")
    ] = False,
    deadline: Annotated[str, typer.Option(help="How long to wait after the last call, on the run's clock.")] = "6h",
    detach: DetachOption = False,
    yes: YesOption = False,
    canary: Annotated[
        bool | None,
        typer.Option(
            "--canary/--no-canary",
            help="Wait until each channel has shown a control record before the first call under test; by default on"
            " AWS only.",
        ),
    ] = None,
    leave_out_silent: Annotated[
        bool, typer.Option("--leave-out-silent", help="Go on without a channel that shows no control record.")
    ] = False,
    requester_role: Annotated[
        str | None, typer.Option(help="ARN of a role in another account, for calls across accounts (cross-account).")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave what was created in place afterwards, for `teardown`.")
    ] = False,
    least_privilege: Annotated[
        bool, typer.Option("--least-privilege", help="Embedded target: with the permissions of `policy`, no others.")
    ] = False,
    factor: Annotated[
        float, typer.Option(min=1, help="Embedded target: how many times as fast its clock runs.")
    ] = DEFAULT_FACTOR,
    results: Annotated[Path, typer.Option(help="Folder in which the run's own folder is made.")] = Path("results"),
    baseline: Annotated[
        Path | None, typer.Option(help="Compare with this baseline or run afterwards; exit code 1 on drift.")
    ] = None,
    known: Annotated[Path | None, typer.Option(help="Known deviations from --baseline (docs/drift.md).")] = None,
    matrix: Annotated[bool, typer.Option(help="Print the whole matrix, not only the summary.")] = True,
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Execute every selected S3 call, wait for its records, and write the coverage matrix.

    By default: all 116 operations in all their variants, two channels, the embedded target, in about a minute.
    results/README.md explains the files.

    Examples: `s3logjam run` · `s3logjam run --variants ok` · `s3logjam run --operations '*Acl' --channels cloudtrail` ·
    `s3logjam run --variants ok --repeats 10`
    """
    from harness.selection import Options  # noqa: PLC0415 - boto3 loads slowly

    regions = _split(region)
    scenario.load(extra=scenarios or [])
    options = Options(
        scenarios=tuple(scenarios or ()),
        account=_account(account),
        detach=detach,
        canary=canary,
        keep=keep,
        leave_out_silent=leave_out_silent,
        requester_role=requester_role,
        results=results,
        operations=_split(operations),
        variants=_split(variants),
        channels=_split(channels),
        repeats=repeats,
        rate=rate,
        seed=seed,
        deadline=duration(deadline),
        slow=slow,
    )
    wanted = Wanted(
        name=target,
        profile=profile,
        region=next(iter(regions), None),
        role_arn=role,
        endpoint_url=endpoint_url,
        seed=seed,
        factor=factor,
        behaviours=_split(behaviour),
        detached=detach or keep,
        requester_role=requester_role,
    )
    if len(regions) > 1:
        from harness import regions as several  # noqa: PLC0415 - pandas loads slowly

        _agree(options, [replace(wanted, region=each) for each in regions], yes, output)
        arguments = [*several.without(context.obj, "--region", "--results"), "--yes"]
        as_json = output is TextOutput.JSON
        raise typer.Exit(several.run(arguments, regions, results, target.value, as_json=as_json))
    _agree(options, [wanted], yes, output)
    _execute(options, wanted, output, matrix, baseline, known, least_privilege=least_privilege)


@app.command()
def heartbeat(
    during: Annotated[str, typer.Option("--for", help="How long to go on, on the run's clock.")] = "24h",
    rate: Annotated[float, typer.Option(min=0.01, help="Calls a minute on the run's clock.")] = 1.0,
    target: TargetOption = TargetName.EMBEDDED,
    account: AccountOption = None,
    profile: ProfileOption = None,
    region: Annotated[str | None, typer.Option(help="Region; the profile's by default, us-east-1 elsewhere.")] = None,
    role: RoleOption = None,
    endpoint_url: EndpointOption = None,
    channels: Annotated[
        list[str] | None,
        typer.Option(help="Channels to measure; server-access and cloudtrail by default, all for all seven."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Repeats delays and names of an embedded run exactly.")] = 1,
    deadline: Annotated[str, typer.Option(help="How long to wait after the last call, on the run's clock.")] = "6h",
    factor: Annotated[
        float, typer.Option(min=1, help="Embedded target: how many times as fast its clock runs.")
    ] = DEFAULT_FACTOR,
    detach: DetachOption = False,
    yes: YesOption = False,
    results: Annotated[Path, typer.Option(help="Folder in which the run's own folder is made.")] = Path("results"),
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Measure delivery delay alone, for hours or days, with few calls: one object put and one bucket read in turn.

    Example: `s3logjam heartbeat --for 24h --rate 1` makes 1,440 calls and writes `delay.md`, which says how many a
    number takes where those are too few; docs/measurement.md has a table to plan with.
    """
    from harness.selection import Options  # noqa: PLC0415 - boto3 loads slowly

    scenario.load()
    minutes = duration(during).total_seconds() / 60
    options = Options(
        results=results,
        operations=HEARTBEAT,
        variants=("ok",),
        channels=_split(channels),
        repeats=max(1, round(minutes * rate / len(HEARTBEAT))),
        rate=rate,
        seed=seed,
        deadline=duration(deadline),
        account=_account(account),
        detach=detach,
    )
    wanted = Wanted(
        name=target,
        profile=profile,
        region=region,
        role_arn=role,
        endpoint_url=endpoint_url,
        seed=seed,
        factor=factor,
        detached=detach,
    )
    _agree(options, [wanted], yes, output)
    _execute(options, wanted, output, needs_records=True)


def _print(document: Mapping[str, Any]) -> None:
    from harness.report.outcome import as_text  # noqa: PLC0415 - pandas loads slowly

    typer.echo(as_text(document))


def _agree(options: Options, wanted: Sequence[Wanted], yes: bool, output: TextOutput) -> None:
    """Show what a run on a real target would do, and ask; end where the answer is no.

    Raises:
        UsageError: There is nobody to ask.
    """
    from harness.environment.plan import plan_of  # noqa: PLC0415 - boto3 loads slowly
    from harness.report import planned  # noqa: PLC0415

    if wanted[0].name is not TargetName.AWS:
        return
    plans = []
    for each in wanted:
        with target_for(each) as target:
            options.check_account(target)
            plans.append(plan_of(options, target))
    aside = output is TextOutput.JSON
    typer.echo(planned.as_text(plans), err=aside)
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on: say --yes if the plan is what you want")
    if not typer.confirm("Create this, in this account, and go on?", err=aside):
        typer.echo("Nothing was created.", err=aside)
        raise typer.Exit(ExitCode.INTERRUPTED)


def _execute(
    options: Options,
    wanted: Wanted,
    output: TextOutput,
    show_rows: bool = True,
    against: Path | None = None,
    known: Path | None = None,
    *,
    needs_records: bool = False,
    least_privilege: bool = False,
) -> NoReturn:
    """Do a run on the terminal and end with its exit code.

    Raises:
        UsageError: It is made for records that the target never delivers.
    """
    from harness.attend import attend  # noqa: PLC0415 - pandas loads slowly
    from harness.report.terminal import console  # noqa: PLC0415
    from harness.run import Run  # noqa: PLC0415

    with target_for(wanted) as target:
        if needs_records and target.no_logs:
            raise UsageError(f"there would be nothing to measure: {target.no_logs}")
        if least_privilege:
            from harness.environment.policy import under_policy  # noqa: PLC0415

            target = under_policy(target, options)  # noqa: PLW2901 - the same, as somebody else sees it
        tell = _print if output is TextOutput.JSON else None
        screen = console(stderr=tell is not None)
        code = attend(Run(options, target), screen, rows=show_rows, against=against, known=known, tell=tell)
    raise typer.Exit(code)


def _on_each_region(context: typer.Context, run_path: Path) -> None:
    """Where a folder holds runs in several Regions, do the command on each of them, and end."""
    from harness.regions import on_each  # noqa: PLC0415 - pandas loads slowly

    options = [argument for argument in context.obj[1:] if argument != str(run_path)]
    code = on_each(context.obj[0], run_path, options, as_json=context.params.get("output") is TextOutput.JSON)
    if code is not None:
        raise typer.Exit(code)


@app.command()
def resume(
    context: typer.Context,
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    until: Annotated[
        str | None, typer.Option(help="How long after the last call to wait, instead of the run's own --deadline.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Profile to use instead of the one it was begun with.")] = None,
    matrix: Annotated[bool, typer.Option(help="Print the whole matrix, not only the summary.")] = True,
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Go on with a run that was detached, interrupted or killed: from another terminal, on another day.

    Executes what was not executed, collects what has come, writes the reports, and deletes what the run had created.

    Examples: `s3logjam resume` · `s3logjam resume results/20261123-… --until 24h`
    """
    from harness.attend import attend  # noqa: PLC0415 - pandas loads slowly
    from harness.report.terminal import console  # noqa: PLC0415
    from harness.results import run_folder  # noqa: PLC0415
    from harness.run import Run  # noqa: PLC0415
    from harness.selection import Options  # noqa: PLC0415

    _on_each_region(context, run_path)
    folder = run_folder(run_path).resolve()
    with Journal(folder / FILE_NAME) as journal:
        facts = journal.facts()
    for stage in ("finished", "torn_down"):
        if facts.get(f"{stage}_at"):
            what = stage.replace("_", " ")
            raise UsageError(f"the run in {folder} is {what}: `s3logjam report {folder}` shows what was measured")
    if facts.get("options"):
        scenario.load(extra=Options.from_fact(facts["options"]).scenarios)
    with reopened(facts, profile) as target:
        one = Run.taken_up(folder, target, duration(until) if until else None)
        tell = _print if output is TextOutput.JSON else None
        raise typer.Exit(attend(one, console(stderr=tell is not None), rows=matrix, tell=tell))


@app.command()
def status(
    context: typer.Context,
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    output: Annotated[TextOutput, typer.Option(help="Text for the terminal, or JSON.")] = TextOutput.TEXT,
) -> None:
    """Say where a run stands: calls made, records in and missing per channel, when it may be done, what it has created.

    Reads the journal alone: it asks nothing of AWS, costs nothing, and may be used while the run goes on.
    """
    from harness.status import as_json, as_text, status_of  # noqa: PLC0415 - pandas loads slowly

    _on_each_region(context, run_path)
    found = status_of(run_path)
    typer.echo(as_json(found) if output is TextOutput.JSON else as_text(found))


@app.command()
def teardown(
    context: typer.Context,
    run_path: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="Folder of a run; results/latest by default.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Profile to use instead of the one it was begun with.")] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="The journal is lost: find what runs have left, by name and tag.")
    ] = False,
    run_id: Annotated[
        str | None, typer.Option(help="Sweep: only of this run, the 8 hex digits that its names have.")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(help="Sweep: only of runs that have made nothing for so long, e.g. 2d.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sweep: delete without asking, for scripts.")] = False,
    target: Annotated[TargetName | None, typer.Option(help="Sweep: where; aws or localstack.")] = None,
    account: Annotated[str | None, typer.Option(help="Sweep: the account, and no other; aws demands it.")] = None,
    region: Annotated[str | None, typer.Option(help="Sweep: the Region, the profile's by default.")] = None,
    role: RoleOption = None,
    endpoint_url: EndpointOption = None,
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Delete what a run has created, from its journal alone, in any state and as often as you like.

    Log records that were not collected yet are lost. Exit code 1 when something could not be deleted.

    With `--sweep`, where the journal is lost: lists what has a run's name (`s3lm-<8 hex digits>-…`) in one account and
    Region, with tags and age, and asks before it deletes. What a run that still goes on has made looks the same.

    Examples: `s3logjam teardown` · `s3logjam teardown --sweep --target aws --account 111122223333 --older-than 2d`
    """
    from harness.report.terminal import console  # noqa: PLC0415 - pandas loads slowly

    tell = _print if output is TextOutput.JSON else None
    of_a_sweep = {"--run-id": run_id, "--older-than": older_than, "--yes": yes, "--target": target}
    of_a_sweep |= {"--account": account, "--region": region, "--role": role, "--endpoint-url": endpoint_url}
    if not sweep:
        for option, value in of_a_sweep.items():
            if value:
                raise UsageError(f"{option} goes with --sweep only; a run's journal knows the rest")
        from harness.attend import tear_down  # noqa: PLC0415
        from harness.results import run_folder  # noqa: PLC0415

        path = run_path or Path("results/latest")
        _on_each_region(context, path)
        folder = run_folder(path).resolve()
        code = tear_down(folder, console(stderr=tell is not None), profile)
        if tell:
            from harness.report.outcome import of_teardown  # noqa: PLC0415

            tell(of_teardown(folder, code))
        raise typer.Exit(code)
    if run_path:
        raise UsageError(
            f"--sweep is for lost journals; `s3logjam teardown {run_path}` deletes what that run has created"
        )
    if target in (None, TargetName.EMBEDDED):
        raise UsageError("say where to look: --target aws or localstack (an embedded server leaves nothing behind)")
    from harness.sweep import sweep as clean  # noqa: PLC0415

    age = duration(older_than) if older_than else None
    ask = (lambda _question: True) if yes else partial(typer.confirm, err=bool(tell)) if sys.stdin.isatty() else None
    wanted = Wanted(name=target, profile=profile, region=region, role_arn=role, endpoint_url=endpoint_url)
    with target_for(wanted) as place:
        screen = console(stderr=tell is not None)
        code = clean(place, screen, account=account, run_id=run_id, older_than=age, confirm=ask, tell=tell)
        raise typer.Exit(code)


@app.command()
def plan(
    target: TargetOption = TargetName.EMBEDDED,
    account: Annotated[str | None, typer.Option(help="Account id, where the target cannot be asked.")] = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    role: RoleOption = None,
    endpoint_url: EndpointOption = None,
    channels: Annotated[
        list[str] | None,
        typer.Option(help="Channels to measure; server-access and cloudtrail by default, all for all seven."),
    ] = None,
    operations: Annotated[list[str] | None, typer.Option(help="Only operations that match a glob.")] = None,
    variants: Annotated[list[str] | None, typer.Option(help="Only variants that match a glob.")] = None,
    scenarios: Annotated[list[Path] | None, typer.Option(help="File or folder of your own scenarios.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each scenario is executed.")] = 1,
    rate: Annotated[float, typer.Option(min=0, help="Scenario executions a minute, at most; 0: as many as go.")] = 0.0,
    seed: Annotated[int, typer.Option(help="As for `run`: the names of an embedded run follow from it.")] = 1,
    slow: Annotated[bool, typer.Option("--slow", help="With what `run --slow` executes.")] = False,
    deadline: Annotated[str, typer.Option(help="How long to wait after the last call, on the run's clock.")] = "6h",
    detach: Annotated[bool, typer.Option("--detach", help="As for `run`: nothing is deleted in the end.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="As for `run`: nothing is deleted in the end.")] = False,
    canary: Annotated[bool | None, typer.Option("--canary/--no-canary", help="As for `run`.")] = None,
    requester_role: Annotated[str | None, typer.Option(help="As for `run`: a role in another account.")] = None,
    factor: Annotated[
        float, typer.Option(min=1, help="Embedded target: how many times as fast its clock runs.")
    ] = DEFAULT_FACTOR,
    recount: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Price the calls of a run that was made, at the same prices.")
    ] = None,
    output: Annotated[TextOutput, typer.Option(help="Text for the terminal, or JSON.")] = TextOutput.TEXT,
) -> None:
    """Say what a run would do, before anything is created: take the same options as for `run`.

    Account and principal, resources by name, calls by operation and role, waiting times, cost by item, IAM policy, what
    is left afterwards. Everything is counted by executing the scenarios against nothing; AWS is asked who you are at
    most.

    Examples: `s3logjam plan --target aws --profile sandbox --repeats 30` · `s3logjam plan --recount results/latest`
    """
    from harness.environment.plan import plan_of, recounted  # noqa: PLC0415 - boto3 loads slowly
    from harness.report import planned  # noqa: PLC0415
    from harness.results import run_folder  # noqa: PLC0415
    from harness.selection import Options  # noqa: PLC0415
    from harness.targets.choice import asked  # noqa: PLC0415

    if recount is not None:
        with Journal(run_folder(recount) / FILE_NAME) as journal:
            typer.echo(planned.recounted(journal.facts(), recounted(journal), json_wanted=output is TextOutput.JSON))
        return
    scenario.load(extra=scenarios or [])
    options = Options(
        account=_account(account),
        detach=detach,
        canary=canary,
        keep=keep,
        operations=_split(operations),
        variants=_split(variants),
        channels=_split(channels),
        repeats=repeats,
        rate=rate,
        seed=seed,
        deadline=duration(deadline),
        slow=slow,
        requester_role=requester_role,
    )
    found = []
    for each in _split(region) or (None,):
        wanted = Wanted(
            name=target,
            profile=profile,
            region=each,
            role_arn=role,
            endpoint_url=endpoint_url,
            seed=seed,
            factor=factor,
            requester_role=requester_role,
        )
        with asked(wanted) as where:
            found.append(plan_of(options, where))
    typer.echo((planned.as_json if output is TextOutput.JSON else planned.as_text)(found), nl=False)


def _account(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"\d{12}", text):
        raise UsageError(f"{text!r} is no account id: it has twelve digits")
    return text


@app.command()
def policy(
    target: Annotated[TargetName, typer.Option(help="Where the run would be.")] = TargetName.AWS,
    channels: Annotated[
        list[str] | None,
        typer.Option(help="Channels to measure; server-access and cloudtrail by default, all for all seven."),
    ] = None,
    operations: Annotated[list[str] | None, typer.Option(help="Only operations that match a glob.")] = None,
    variants: Annotated[list[str] | None, typer.Option(help="Only variants that match a glob.")] = None,
    scenarios: Annotated[list[Path] | None, typer.Option(help="File or folder of your own scenarios.")] = None,
    slow: Annotated[bool, typer.Option("--slow", help="With what `run --slow` executes.")] = False,
    requester_role: Annotated[str | None, typer.Option(help="As for `run`: a role in another account.")] = None,
    account: Annotated[str | None, typer.Option(help="Account id; ACCOUNT stands for it otherwise.")] = None,
    region: Annotated[str | None, typer.Option(help="Region; REGION stands for it otherwise.")] = None,
    output: Annotated[
        PolicyOutput, typer.Option(help="json: the policy; cloudformation, terraform: a role that has it.")
    ] = PolicyOutput.JSON,
) -> None:
    """Print the least-privilege IAM policy of a run: take the same selection as for `run`.

    It is made of what scenarios and channels declare, and allows nothing outside of what a run makes itself, `s3lm-*`.
    Where one managed policy cannot hold it, JSON is a list of several. docs/permissions.md says what is proved of it.

    Examples: `s3logjam policy --account 111122223333 --region us-east-1` · `s3logjam policy --operations '*Acl'` ·
    `s3logjam policy --output terraform`
    """
    from harness.environment.deploy import Form, render  # noqa: PLC0415 - boto3 loads slowly
    from harness.environment.policy import permissions_for  # noqa: PLC0415
    from harness.selection import Options  # noqa: PLC0415
    from harness.targets.choice import unasked  # noqa: PLC0415

    account = _account(account)
    scenario.load(extra=scenarios or [])
    options = Options(
        operations=_split(operations),
        variants=_split(variants),
        channels=_split(channels),
        slow=slow,
        requester_role=requester_role,
    )
    wanted = permissions_for(options, unasked(Wanted(name=target, region=region)))
    typer.echo(render(Form(output.value), wanted, account, region), nl=False)


@app.command("list")
def list_(
    operations: Annotated[list[str] | None, typer.Option(help="Only operations that match a glob.")] = None,
    variants: Annotated[list[str] | None, typer.Option(help="Only variants that match a glob.")] = None,
    scenarios: Annotated[list[Path] | None, typer.Option(help="File or folder of your own scenarios.")] = None,
    output: Annotated[ListOutput, typer.Option(help="A table for the terminal, Markdown, or JSON.")] = ListOutput.TABLE,
) -> None:
    """List the operations of the installed botocore, with their scenarios and what the embedded target can serve.

    An operation that botocore knows and no scenario executes is shown as `no scenario yet`.
    """
    from harness.report.terminal import console  # noqa: PLC0415
    from harness.selection import plan, selected_operations  # noqa: PLC0415

    scenario.load(extra=scenarios or [])
    screen = console()
    rows = plan(_split(operations), _split(variants), EmbeddedTarget(seed=1), 1)
    if output is ListOutput.MARKDOWN:
        from harness.report.rows_md import rows_table  # noqa: PLC0415

        typer.echo(rows_table(rows))
        return
    if output is ListOutput.JSON:
        from harness.report.outcome import of_list  # noqa: PLC0415 - pandas loads slowly

        _print(of_list(rows, EmbeddedTarget.name, NOTE))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("operation", "variant", "level", "form", "state"):
        table.add_column(name, overflow="fold", no_wrap=name in ("operation", "level"))
    known = catalogue.rows()
    for cell, (repeats, reason) in rows.items():
        operation = known[cell.operation]
        state = "runs" if repeats else f"not run: {reason}"
        if operation.twins:
            state += f"; same wire form as {', '.join(operation.twins)}"
        form = f"{operation.method} {'?' if operation.subresource else ''}{operation.subresource}"
        table.add_row(cell.operation, cell.variant, operation.level.value, form, state)
    screen.print(table)
    names = selected_operations(_split(operations))
    missing = [cell.operation for cell, (_, reason) in rows.items() if reason == "no scenario yet"]
    screen.print(f"{len(names)} operations of botocore {catalogue.botocore_version()}, {len(rows)} rows.")
    if missing:
        text = f"Warning: no scenario yet for {', '.join(missing)}"
        known_good = f" (the scenarios are complete for botocore {catalogue.LOCKED_BOTOCORE})."
        screen.print(Text(text + known_good, style="yellow"))


@app.command()
def report(
    context: typer.Context,
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    matrix: Annotated[bool, typer.Option(help="Print the whole matrix, not only the summary.")] = True,
    html: Annotated[bool, typer.Option("--html", help="Write report.html only, and say where it is.")] = False,
    baseline: Annotated[
        Path | None, typer.Option(help="A baseline or run: report.html shows what differs from it.")
    ] = None,
    known: Annotated[Path | None, typer.Option(help="Known deviations from --baseline (docs/drift.md).")] = None,
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Build the matrix of a run again from its journal, write its files and show it; an interrupted run's too.

    `report.html` is the run in one file that opens offline (docs/reading-the-report.md).

    Examples: `s3logjam report` · `s3logjam report results/latest --html --baseline results/baselines/embedded.json`
    """
    if html:
        from harness.page import write_page  # noqa: PLC0415 - pandas loads slowly

        page = write_page(run_path, baseline, known)
        if output is TextOutput.JSON:
            from harness.report.outcome import of_page  # noqa: PLC0415

            _print(of_page(run_path, page))
            return
        typer.echo(f"Wrote {page}: open it in a browser.")
        return
    from harness.report.terminal import console, show_matrix, show_summary  # noqa: PLC0415
    from harness.results import run_folder  # noqa: PLC0415
    from harness.run import analyse  # noqa: PLC0415

    _on_each_region(context, run_path)
    folder = run_folder(run_path)
    with Journal(folder / FILE_NAME) as journal:
        result = analyse(journal, folder)
    if baseline:
        from harness.page import write_page  # noqa: PLC0415

        write_page(folder, baseline, known)
    if output is TextOutput.JSON:
        from harness.report.outcome import of_run  # noqa: PLC0415

        _print(of_run(result, rows=matrix))
        return
    (show_matrix if matrix else show_summary)(console(), result)


@app.command()
def verify(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    against: Annotated[
        str, typer.Option(help="aws-2026, aws-2023, aws-2019, netskope-2019, claims, or your own CSV (docs/verify.md).")
    ] = "aws-2026",
    output: Annotated[TextOutput, typer.Option(help="Text for the terminal, or JSON.")] = TextOutput.TEXT,
) -> None:
    """Hold a run against documented coverage tables: confirmed, contradicted with evidence, undetermined, undocumented.

    Exit code 1 when anything is contradicted. Writes verification.csv, .md and .json into the run's folder.

    Examples: `s3logjam verify` · `s3logjam verify results/latest --against claims` · `s3logjam verify --against my.csv`
    """
    from harness.report.verification import as_json, as_text  # noqa: PLC0415 - pandas loads slowly
    from harness.verify import verify as hold  # noqa: PLC0415

    result = hold(run_path, against)
    typer.echo(as_json(result).rstrip() if output is TextOutput.JSON else as_text(result))
    raise typer.Exit(result.exit_code)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A run, or a stored baseline.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The run that is held against it.")] = Path(
        "results/latest"
    ),
    known: Annotated[Path | None, typer.Option(help="Known deviations with reason and expiry (docs/drift.md).")] = None,
    output: Annotated[DiffOutput, typer.Option(help="text, json, markdown or junit.")] = DiffOutput.TEXT,
) -> None:
    """Say what differs between two runs: names, records, categories, fields, delays. Exit code 1 when anything does.

    Examples: `s3logjam diff results/20261101-… results/latest` · `s3logjam diff results/baselines/embedded.json`
    """
    from harness.diff import diff as hold  # noqa: PLC0415 - scipy loads slowly
    from harness.report.drift import Output, show  # noqa: PLC0415
    from harness.report.terminal import console  # noqa: PLC0415

    result = hold(before, after, known)
    show(console(), result, Output(output.value))
    raise typer.Exit(result.exit_code)


@app.command()
def explain(
    operation: Annotated[str | None, typer.Argument(metavar="OPERATION", help="E.g. PutBucketAcl.")] = None,
    event_name: Annotated[
        str | None,
        typer.Option(help="The other way round: which operations does this CloudTrail event name stand for?"),
    ] = None,
    sal: Annotated[
        str | None, typer.Option(help="The same for a server access log operation, e.g. REST.PUT.ACL.")
    ] = None,
    run_path: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="Folder of a run; results/latest if it is there, else documents alone."
        ),
    ] = None,
    output: Annotated[TextOutput, typer.Option(help="Text for the terminal, or JSON.")] = TextOutput.TEXT,
) -> None:
    """Explain an operation: its names per channel, documents against observation, a sample, ready-made filters.

    Filters: EventBridge, CloudWatch Logs Insights, CloudWatch metric filter, Athena SQL with its tables, Sigma. Exit
    code 5 when nothing has the name.

    Examples: `s3logjam explain PutBucketAcl` · `s3logjam explain --sal REST.PUT.ACL` ·
    `s3logjam explain --event-name DeleteObject --output json`
    """
    from harness.report.explanation import show  # noqa: PLC0415 - pandas loads slowly

    typer.echo(show(operation, event_name, sal, run_path, as_json=output is TextOutput.JSON))


@app.command()
def lint(
    rules: Annotated[list[Path], typer.Argument(metavar="RULES...", help="Rule files, or folders with rule files.")],
    run_path: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="RUN", help="Folder of a run; results/latest if it is there, else documents alone."
        ),
    ] = None,
    data_events: Annotated[
        bool, typer.Option("--data-events", help="The trail has data events: do not tell which rules need them.")
    ] = False,
    output: Annotated[LintOutput, typer.Option(help="text, json or sarif.")] = LintOutput.TEXT,
) -> None:
    """Hold detection rules against what the logs write: dead names, renamed ones, siblings that are missed.

    Reads Sigma, Elastic (KQL, EQL, ES|QL), Panther (its Python is never executed), Athena SQL, Logs Insights, and plain
    lists of names; needs `pip install 's3logjam[rules]'`. Exit code 1 when anything but a note is found, or when a file
    cannot be read; docs/lint.md says how to suppress a finding.

    Examples: `s3logjam lint rules/` · `s3logjam lint rules/ --data-events --output sarif > lint.sarif`
    """
    from harness.lint.command import lint as hold  # noqa: PLC0415 - pandas loads slowly
    from harness.report.lint import FORMS  # noqa: PLC0415

    result = hold(rules, run_path, data_events=data_events)
    typer.echo(FORMS[output.value](result))
    raise typer.Exit(result.exit_code)


@app.command()
def baseline(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("baseline.json"),
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Write what `diff` needs of a run into one reviewable file: no account ids, nothing that differs between runs."""
    from harness.report.baseline import write  # noqa: PLC0415 - pandas loads slowly
    from harness.report.snapshots import load  # noqa: PLC0415

    written = write(load(run_path), out)
    if output is TextOutput.JSON:
        from harness.report.outcome import of_baseline  # noqa: PLC0415

        _print(of_baseline(written))
        return
    typer.echo(f"Wrote {written}.")


@app.command()
def corpus(
    run_path: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")] = Path("results/latest"),
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("corpus.jsonl"),
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Export calls with their records as JSON Lines, names replaced, so that parsers can be tested on them."""
    from harness.corpus import export  # noqa: PLC0415 - pandas loads slowly

    done = export(run_path, out)
    if output is TextOutput.JSON:
        from harness.report.outcome import of_corpus  # noqa: PLC0415

        _print(of_corpus(run_path, out, done))
        return
    withheld = f"; {done.withheld} withheld, because a name might have survived" if done.withheld else ""
    typer.echo(f"Wrote {done.written} pairs to {out}{withheld}.")


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for a free one.")] = 0,
    factor: Annotated[
        float, typer.Option(min=1, help="How many times as fast the server's clock runs.")
    ] = DEFAULT_FACTOR,
    seed: Annotated[int, typer.Option(help="Repeats delays and ids.")] = 1,
    behaviour: Annotated[
        list[str] | None, typer.Option(help="Take another side, e.g. form-post=PostObject (docs/embedded.md).")
    ] = None,
) -> None:
    """Serve S3, CloudTrail, IAM and STS on loopback until Ctrl+C; access logs and trails are really delivered.

    Point any AWS client at it: `aws --endpoint-url http://127.0.0.1:PORT …` (docs/embedded.md walks through it).
    """
    with EmbeddedTarget(seed=seed, factor=factor, port=port, behaviours=_split(behaviour)) as target:
        assert target.server is not None
        typer.echo(f"Serving on http://127.0.0.1:{target.server.port} ({NOTE}; clock x{factor:g}). Ctrl+C ends it.")
        typer.echo(f"export AWS_ENDPOINT_URL=http://127.0.0.1:{target.server.port} AWS_DEFAULT_REGION={target.region}")
        typer.echo(f"export AWS_ACCESS_KEY_ID={ACCESS_KEY_ID} AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}")
        with suppress(KeyboardInterrupt):
            while target.server.process.poll() is None:
                time.sleep(0.2)
        if target.server.process.poll() is not None:
            raise LogjamError(f"the embedded server ended by itself: {target.server.errors.strip() or 'no message'}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command; every error becomes a message and an exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        told = sys.argv[1:] if arguments is None else arguments
        code = app(args=told, standalone_mode=False, obj=told) or ExitCode.OK
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
