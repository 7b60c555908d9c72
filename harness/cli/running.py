"""Commands that work on a target, from ``run`` to ``teardown``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness import scenario
from harness.cli.application import app
from harness.cli.options import (
    AccountOption,
    DetachOption,
    EndpointOption,
    OutputOption,
    ProfileOption,
    RegionOption,
    RoleOption,
    TargetOption,
    TextOutput,
    YesOption,
    account_id,
    duration,
    on_each_region,
    print_document,
    reference,
    role_arn,
    split,
)
from harness.errors import ExitCode, UsageError
from harness.targets.choice import TargetName, Wanted, reopened, target_for
from harness.targets.embedded import DEFAULT_FACTOR

if TYPE_CHECKING:
    from harness.diff import Reference
    from harness.selection import Options
    from harness.targets import Target

HEARTBEAT = ("PutObject", "GetBucketLocation")
"""A data event and a management event, both in the access log."""


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
            help="Channels to measure: server-access,cloudtrail by default; all for all seven, none for none."
        ),
    ] = None,
    operations: Annotated[
        list[str] | None, typer.Option(help="Only operations that match a glob, e.g. 'Put*Acl,GetObject'.")
    ] = None,
    variants: Annotated[
        list[str] | None, typer.Option(help="Only variants that match a glob, e.g. 'ok,key-*'.")
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
        Path | None,
        typer.Option(help="Compare with this baseline or run afterwards; 1 on drift (docs/ci.md)."),
    ] = None,
    known: Annotated[Path | None, typer.Option(help="Known deviations from --baseline (docs/drift.md).")] = None,
    matrix: Annotated[bool, typer.Option(help="Print the whole matrix, not only the summary.")] = True,
    output: OutputOption = TextOutput.TEXT,
) -> None:
    """Execute every selected S3 call, wait for its records, and write the coverage matrix.

    By default: all 116 operations in all their variants, two channels, the embedded target, in about a minute.
    results/README.md explains the files. Lists take commas: `--variants ok,denied` is the same as giving it twice.

    Examples: `s3logjam run` · `s3logjam run --variants ok` · `s3logjam run --operations '*Acl' --channels cloudtrail` ·
    `s3logjam run --variants ok --repeats 10`
    """
    from harness.selection import Options  # noqa: PLC0415 - boto3 loads slowly

    regions = split(region)
    against = reference(baseline, known)
    scenario.load(extra=scenarios or [])
    options = Options(
        scenarios=tuple(scenarios or ()),
        account=account_id(account),
        detach=detach,
        canary=canary,
        keep=keep,
        leave_out_silent=leave_out_silent,
        requester_role=role_arn(requester_role),
        results=results,
        operations=split(operations),
        variants=split(variants),
        channels=split(channels),
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
        role_arn=role_arn(role),
        endpoint_url=endpoint_url,
        seed=seed,
        factor=factor,
        behaviours=split(behaviour),
        detached=detach or keep,
        requester_role=options.requester_role,
    )
    if len(regions) > 1:
        from harness import regions as several  # noqa: PLC0415 - pandas loads slowly

        if target is TargetName.AWS:
            with ExitStack() as stack:
                places = [target_for(replace(wanted, region=each)) for each in regions]
                _agree(options, [stack.enter_context(each) for each in places], yes, output)
        arguments = [*several.without(context.obj, "--region", "--results"), "--yes"]
        as_json = output is TextOutput.JSON
        raise typer.Exit(several.run(arguments, regions, results, target.value, as_json=as_json))
    _execute(options, wanted, yes, output, matrix, against, least_privilege=least_privilege)


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
        channels=split(channels),
        repeats=max(1, round(minutes * rate / len(HEARTBEAT))),
        rate=rate,
        seed=seed,
        deadline=duration(deadline),
        account=account_id(account),
        detach=detach,
    )
    wanted = Wanted(
        name=target,
        profile=profile,
        region=region,
        role_arn=role_arn(role),
        endpoint_url=endpoint_url,
        seed=seed,
        factor=factor,
        detached=detach,
    )
    _execute(options, wanted, yes, output, needs_records=True)


def _agree(options: Options, targets: Sequence[Target], yes: bool, output: TextOutput) -> None:
    """Show what a run on a real target would do, and ask; end where the answer is no.

    Raises:
        UsageError: There is nobody to ask.
    """
    from harness.planning.plan import plan_of  # noqa: PLC0415 - boto3 loads slowly
    from harness.report import planned  # noqa: PLC0415

    if not any(target.real for target in targets):
        return
    for target in targets:
        options.check_account(target)
    plans = [plan_of(options, target) for target in targets]
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
    yes: bool,
    output: TextOutput,
    show_rows: bool = True,
    against: Reference | None = None,
    *,
    needs_records: bool = False,
    least_privilege: bool = False,
) -> NoReturn:
    """Do a run on the terminal and end with its exit code.

    Raises:
        UsageError: It is made for records, or held against a baseline, and no records will come.
    """
    from harness.attend import attend  # noqa: PLC0415 - pandas loads slowly
    from harness.report.terminal import console  # noqa: PLC0415
    from harness.run import Run  # noqa: PLC0415
    from harness.selection import selected_channels  # noqa: PLC0415

    with target_for(wanted) as target:
        without = target.no_logs or ("" if selected_channels(options.channels) else "a run without any channel")
        if against is not None and without:
            raise UsageError(f"there is nothing to compare with a baseline ({without}): leave --baseline out")
        _agree(options, [target], yes, output)
        if needs_records and target.no_logs:
            raise UsageError(f"there would be nothing to measure: {target.no_logs}")
        if least_privilege:
            from harness.planning.policy import under_policy  # noqa: PLC0415

            target = under_policy(target, options)  # noqa: PLW2901 - the same, as somebody else sees it
        tell = print_document if output is TextOutput.JSON else None
        screen = console(stderr=tell is not None)
        code = attend(Run(options, target), screen, rows=show_rows, against=against, tell=tell)
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
    An embedded server ends with its run's process, unless that was begun with `--detach` or `--keep`: such a run, once
    interrupted, can only be reported.

    Examples: `s3logjam resume` · `s3logjam resume results/20261123-… --until 24h`
    """
    from harness.attend import attend  # noqa: PLC0415 - pandas loads slowly
    from harness.folders import run_folder  # noqa: PLC0415
    from harness.report.terminal import console  # noqa: PLC0415
    from harness.run import Run, facts_of  # noqa: PLC0415
    from harness.selection import Options  # noqa: PLC0415
    from harness.status import why_not_resumable  # noqa: PLC0415

    on_each_region(context, run_path)
    folder = run_folder(run_path).resolve()
    facts = facts_of(folder)
    why = why_not_resumable(facts)
    if why:
        raise UsageError(f"the run in {folder} {why}: `s3logjam report {folder}` shows what was measured")
    if facts.get("options"):
        scenario.load(extra=Options.from_fact(facts["options"]).scenarios)
    with reopened(facts, profile) as target:
        one = Run.taken_up(folder, target, duration(until) if until else None)
        tell = print_document if output is TextOutput.JSON else None
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

    on_each_region(context, run_path)
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

    tell = print_document if output is TextOutput.JSON else None
    of_a_sweep = {"--run-id": run_id, "--older-than": older_than, "--yes": yes, "--target": target}
    of_a_sweep |= {"--account": account, "--region": region, "--role": role, "--endpoint-url": endpoint_url}
    if not sweep:
        for option, value in of_a_sweep.items():
            if value:
                raise UsageError(f"{option} goes with --sweep only; a run's journal knows the rest")
        from harness.attend import tear_down  # noqa: PLC0415
        from harness.folders import run_folder  # noqa: PLC0415

        path = run_path or Path("results/latest")
        on_each_region(context, path)
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
    wanted = Wanted(name=target, profile=profile, region=region, role_arn=role_arn(role), endpoint_url=endpoint_url)
    with target_for(wanted) as place:
        screen = console(stderr=tell is not None)
        code = clean(place, screen, account=account, run_id=run_id, older_than=age, confirm=ask, tell=tell)
        raise typer.Exit(code)
