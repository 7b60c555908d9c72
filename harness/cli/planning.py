"""Commands that say what a run would do and what it needs: ``plan`` and ``policy``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness import scenario
from harness.cli.application import app
from harness.cli.options import (
    EndpointOption,
    PolicyOutput,
    ProfileOption,
    RegionOption,
    RoleOption,
    TargetOption,
    TextOutput,
    account_id,
    duration,
    role_arn,
    split,
)
from harness.journal import FILE_NAME, Journal
from harness.targets.choice import TargetName, Wanted
from harness.targets.embedded import DEFAULT_FACTOR

_ChannelsOption = Annotated[
    list[str] | None,
    typer.Option(help="Channels to measure; server-access and cloudtrail by default, all for all seven."),
]
_OperationsOption = Annotated[list[str] | None, typer.Option(help="Only operations that match a glob.")]
_VariantsOption = Annotated[list[str] | None, typer.Option(help="Only variants that match a glob.")]
_ScenariosOption = Annotated[list[Path] | None, typer.Option(help="File or folder of your own scenarios.")]
_SlowOption = Annotated[bool, typer.Option("--slow", help="With what `run --slow` executes.")]
_RequesterOption = Annotated[str | None, typer.Option(help="As for `run`: a role in another account.")]


@app.command()
def plan(
    target: TargetOption = TargetName.EMBEDDED,
    account: Annotated[str | None, typer.Option(help="Account id, where the target cannot be asked.")] = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    role: RoleOption = None,
    endpoint_url: EndpointOption = None,
    channels: _ChannelsOption = None,
    operations: _OperationsOption = None,
    variants: _VariantsOption = None,
    scenarios: _ScenariosOption = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each scenario is executed.")] = 1,
    rate: Annotated[float, typer.Option(min=0, help="Scenario executions a minute, at most; 0: as many as go.")] = 0.0,
    seed: Annotated[int, typer.Option(help="As for `run`: the names of an embedded run follow from it.")] = 1,
    slow: _SlowOption = False,
    deadline: Annotated[str, typer.Option(help="How long to wait after the last call, on the run's clock.")] = "6h",
    detach: Annotated[bool, typer.Option("--detach", help="As for `run`: nothing is deleted in the end.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="As for `run`: nothing is deleted in the end.")] = False,
    canary: Annotated[bool | None, typer.Option("--canary/--no-canary", help="As for `run`.")] = None,
    requester_role: _RequesterOption = None,
    factor: Annotated[
        float, typer.Option(min=1, help="Embedded target: how many times as fast its clock runs.")
    ] = DEFAULT_FACTOR,
    recount: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Price the calls of a run that was made, at the same prices.")
    ] = None,
    output: Annotated[TextOutput, typer.Option(help="Text for the terminal, or JSON.")] = TextOutput.TEXT,
) -> None:
    """Say what a run would do, before anything is created: take the same options as for `run`.

    All but those that change nothing of it: `--behaviour`, `--leave-out-silent`, `--least-privilege`, `--yes`,
    `--results`, `--baseline`, `--known`, `--matrix`. Lists take commas.

    Account and principal, resources by name, calls by operation and role, waiting times, cost by item, IAM policy, what
    is left afterwards. Everything is counted by executing the scenarios against nothing; AWS is asked who you are at
    most.

    Examples: `s3logjam plan --target aws --profile sandbox --repeats 30` · `s3logjam plan --recount results/latest`
    """
    from harness.folders import run_folder  # noqa: PLC0415
    from harness.planning.plan import plan_of, recounted  # noqa: PLC0415 - boto3 loads slowly
    from harness.report import planned  # noqa: PLC0415
    from harness.selection import Options  # noqa: PLC0415
    from harness.targets.choice import asked  # noqa: PLC0415

    if recount is not None:
        with Journal(run_folder(recount) / FILE_NAME) as journal:
            typer.echo(planned.recounted(journal.facts(), recounted(journal), json_wanted=output is TextOutput.JSON))
        return
    scenario.load(extra=scenarios or [])
    options = Options(
        account=account_id(account),
        detach=detach,
        canary=canary,
        keep=keep,
        operations=split(operations),
        variants=split(variants),
        channels=split(channels),
        repeats=repeats,
        rate=rate,
        seed=seed,
        deadline=duration(deadline),
        slow=slow,
        requester_role=role_arn(requester_role),
    )
    found = []
    for each in split(region) or (None,):
        wanted = Wanted(
            name=target,
            profile=profile,
            region=each,
            role_arn=role_arn(role),
            endpoint_url=endpoint_url,
            seed=seed,
            factor=factor,
            requester_role=options.requester_role,
        )
        with asked(wanted) as where:
            found.append(plan_of(options, where))
    typer.echo((planned.as_json if output is TextOutput.JSON else planned.as_text)(found), nl=False)


@app.command()
def policy(
    target: Annotated[TargetName, typer.Option(help="Where the run would be.")] = TargetName.AWS,
    channels: _ChannelsOption = None,
    operations: _OperationsOption = None,
    variants: _VariantsOption = None,
    scenarios: _ScenariosOption = None,
    slow: _SlowOption = False,
    requester_role: _RequesterOption = None,
    account: Annotated[str | None, typer.Option(help="Account id; ACCOUNT stands for it otherwise.")] = None,
    region: Annotated[str | None, typer.Option(help="Region; REGION stands for it otherwise.")] = None,
    output: Annotated[
        PolicyOutput, typer.Option(help="json: the policy; cloudformation, terraform: a role that has it.")
    ] = PolicyOutput.JSON,
) -> None:
    """Print the least-privilege IAM policy of a run: take the same selection as for `run`.

    It is made of what scenarios and channels declare, for what a run makes (`s3lm-*`) wherever IAM can be so narrow.
    Where one managed policy cannot hold it, JSON is a list of several. docs/permissions.md says what is proved of it.

    Examples: `s3logjam policy --account 111122223333 --region us-east-1` · `s3logjam policy --operations '*Acl'` ·
    `s3logjam policy --output terraform`
    """
    from harness.planning.deploy import Form, render  # noqa: PLC0415 - boto3 loads slowly
    from harness.planning.policy import permissions_for  # noqa: PLC0415
    from harness.selection import Options  # noqa: PLC0415
    from harness.targets.choice import unasked  # noqa: PLC0415

    account = account_id(account)
    scenario.load(extra=scenarios or [])
    options = Options(
        operations=split(operations),
        variants=split(variants),
        channels=split(channels),
        slow=slow,
        requester_role=role_arn(requester_role),
    )
    wanted = permissions_for(options, unasked(Wanted(name=target, region=region)))
    typer.echo(render(Form(output.value), wanted, account, region), nl=False)
