"""What can be known before anything is made, asked in the first minute and not after six hours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.channels import Channel, Permission
from harness.channels.trail import MAX_TRAILS, OF_TRAIL
from harness.environment.site import Site, code_of, refuse_expired, settled
from harness.errors import PreflightError, ScenarioError
from harness.events import Checked
from harness.model import Call
from harness.targets import Target

TOLERATED_SECONDS = 5.0
_NAMED = 8
REFUSED_SECONDS = 900.0
"""Beyond it S3 answers RequestTimeTooSkewed (S3 API Reference, Error responses)."""
_DENIED = {"AccessDenied", "AccessDeniedException"}
ClockOffset = Callable[[Iterable[Call]], tuple[float, float | None]]
"""From calls: by how many seconds the server's clock is ahead, and how uncertain that is; None where nothing tells."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, and whether it forbids the run."""

    text: str
    trouble: bool = False
    forbids: bool = False


def preflight(
    site: Site,
    channels: Sequence[Channel],
    target: Target,
    clock_offset: ClockOffset,
    permissions: Callable[[], Sequence[Permission]] | None = None,
) -> Iterator[Checked]:
    """Ask everything, and tell each answer.

    Args:
        site: With clients; nothing has been made yet.
        channels: That the run wants.
        target: Where.
        clock_offset: Estimates the server's clock from the Date headers of calls.
        permissions: Says what the run needs; None to leave IAM alone.

    Raises:
        PreflightError: Something forbids the run; the message has all of it.
    """
    yield Checked(name="account", answer=f"{site.account_id} in {site.region}, as {site.journal.fact('caller_arn')}")
    if target.no_logs:
        yield Checked(name="logs", answer=f"{target.no_logs}: calls are executed, nothing is waited for", trouble=True)
    questions: dict[str, Callable[[], _Answer]] = {"clock": lambda: _clock(site, clock_offset)}
    if any(channel.name in OF_TRAIL for channel in channels):
        questions["trails"] = lambda: _trails(site)
    if permissions:
        questions["permissions"] = lambda: _permissions(site, permissions)
    forbidding = []
    for name, ask in questions.items():
        answer = ask()
        yield Checked(name=name, answer=answer.text, trouble=answer.trouble or answer.forbids)
        if answer.forbids:
            forbidding.append(f"{name}: {answer.text}")
    if forbidding:
        raise PreflightError("; ".join(forbidding))


def log_buckets_fit(site: Site) -> Iterator[Checked]:
    """Ask whether the run's log buckets are as they were made: an account may change new buckets by itself.

    A bucket that does not fit is accepted by PutBucketLogging and CreateTrail all the same, and then nothing arrives.

    Raises:
        PreflightError: One does not fit, or cannot be asked; the message names the setting.
    """
    for kind, name, state, detail in site.journal.resources():
        if kind == "bucket" and state == "created" and detail.get("logs"):
            wrong = [why for ask in _FITS if (why := ask(site, name))]
            if wrong:
                raise PreflightError(f"logs cannot be delivered to the bucket {name}: {'; '.join(wrong)}")
            yield Checked(name="log bucket", answer=f"{name} can take log files")


def _no_default_retention(site: Site, name: str) -> str:
    """S3 User Guide, Enabling server access logging: no default retention period."""
    try:
        lock = _asked(site.s3.get_object_lock_configuration, site, name).get("ObjectLockConfiguration", {})
    except ClientError as error:
        return "" if code_of(error) == "ObjectLockConfigurationNotFoundError" else _unasked("Object Lock", error)
    return "Object Lock has a default retention" if lock.get("Rule") else ""


def _owner_pays(site: Site, name: str) -> str:
    """S3 User Guide, Enabling server access logging: no Requester Pays; CloudTrail User Guide likewise."""
    try:
        payer = _asked(site.s3.get_bucket_request_payment, site, name).get("Payer", "BucketOwner")
    except ClientError as error:
        return _unasked("Requester Pays", error)
    return "" if payer == "BucketOwner" else "Requester Pays is on"


def _sse_s3(site: Site, name: str) -> str:
    """S3 User Guide, Enabling server access logging: default encryption with SSE-S3 only."""
    try:
        answer = _asked(site.s3.get_bucket_encryption, site, name)
    except ClientError as error:
        return _unasked("default encryption", error)
    used = {
        rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")
        for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]
    }
    return "" if used == {"AES256"} else f"default encryption is {', '.join(map(str, used))}, not SSE-S3 (AES256)"


def _owner_enforced(site: Site, name: str) -> str:
    """What the run has set: with it the bucket policy alone decides who may write."""
    try:
        rules = _asked(site.s3.get_bucket_ownership_controls, site, name)["OwnershipControls"]["Rules"]
    except ClientError as error:
        return _unasked("Object Ownership", error)
    owned = {rule["ObjectOwnership"] for rule in rules}
    return "" if owned == {"BucketOwnerEnforced"} else f"Object Ownership is {', '.join(owned)}"


def _policy_lets_in(site: Site, name: str) -> str:
    """The statement that the run has put must still be there: the services write by it."""
    try:
        policy = json.loads(_asked(site.s3.get_bucket_policy, site, name)["Policy"])
    except ClientError as error:
        return _unasked("bucket policy", error)
    except ValueError:
        return "its bucket policy is no JSON"
    statements = policy.get("Statement", [])
    writing = [each for each in statements if each["Effect"] == "Allow" and "s3:PutObject" in each["Action"]]
    services = [each["Principal"] for each in writing if isinstance(each.get("Principal"), dict)]
    return "" if any("Service" in each for each in services) else "its bucket policy lets no log service write"


def _asked(ask: Callable[..., Any], site: Site, name: str) -> Any:
    """Ask for a setting that was put a moment ago, and may not be seen yet."""
    return settled(site.clock, partial(ask, Bucket=name))


def _unasked(setting: str, error: ClientError) -> str:
    refuse_expired(error)
    return f"its {setting} cannot be asked ({error})"


_FITS = (_no_default_retention, _owner_pays, _sse_s3, _owner_enforced, _policy_lets_in)


def _clock(site: Site, clock_offset: ClockOffset) -> _Answer:
    """Hold this machine's clock against the Date header of an S3 answer: that nothing is there is one too."""
    with suppress(ClientError, BotoCoreError):
        site.s3.head_bucket(Bucket=site.bucket)
    ahead, uncertainty = clock_offset(site.journal.calls())
    if uncertainty is None:
        return _Answer("no answer of S3's had a Date header: delays are on this machine's clock alone", trouble=True)
    if abs(ahead) <= uncertainty:
        return _Answer(f"no difference from the server's, as far as can be told ({uncertainty:.0f} s)")
    side = "behind" if ahead > 0 else "ahead of"
    told = f"this machine is {abs(ahead):.0f} s {side} the server, give or take {uncertainty:.0f}"
    if abs(ahead) - uncertainty > REFUSED_SECONDS:
        return _Answer(f"{told}: S3 refuses such requests; set the clock", forbids=True)
    return _Answer(f"{told}; delays are corrected for it", trouble=abs(ahead) - uncertainty > TOLERATED_SECONDS)


def _trails(site: Site) -> _Answer:
    """Count trails against the quota, and look for one that takes management events already."""
    try:
        trails = site.cloudtrail.describe_trails(includeShadowTrails=True).get("trailList", [])
    except (ClientError, BotoCoreError) as error:
        return _Answer(f"cannot be asked ({code_of(error)}); creating one will say", trouble=True)
    others = [trail for trail in trails if trail["Name"] != site.trail_name]
    if len(others) >= MAX_TRAILS:
        names = ", ".join(sorted(str(trail["Name"]) for trail in others))
        return _Answer(
            f"{len(others)} of {MAX_TRAILS} trails are taken in {site.region} ({names}): delete one, or"
            " choose another Region; channels that need a trail are left out",
            trouble=True,
        )
    managing = [str(trail["Name"]) for trail in others if _takes_management_events(site, trail)]
    if managing:
        return _Answer(
            f"{len(others)} of {MAX_TRAILS}; {', '.join(managing)} takes management events already: those of"
            " this run's trail are a further copy, which costs money (`s3logjam plan`)",
            trouble=True,
        )
    return _Answer(f"{len(others)} of {MAX_TRAILS}; none takes management events: this run's copy is free")


def _takes_management_events(site: Site, trail: dict[str, Any]) -> bool:
    try:
        chosen = site.cloudtrail.get_event_selectors(TrailName=trail["TrailARN"])
    except (ClientError, BotoCoreError):
        return True  # another account's trail; the dearer answer is the safer one
    if any(each.get("IncludeManagementEvents") for each in chosen.get("EventSelectors") or ()):
        return True
    return any(
        field["Field"] == "eventCategory" and "Management" in field.get("Equals", ())
        for each in chosen.get("AdvancedEventSelectors") or ()
        for field in each["FieldSelectors"]
    )


def _permissions(site: Site, permissions: Callable[[], Sequence[Permission]]) -> _Answer:
    """Have IAM simulate the caller's policies; where that is not allowed, the first refused call will say."""
    caller = str(site.journal.fact("caller_arn"))
    if caller.endswith(":root"):
        return _Answer("the account's root user may do everything: a role of its own would be safer", trouble=True)
    denied: set[str] = set()
    asked: set[str] = set()
    simulation = site.iam.get_paginator("simulate_principal_policy")
    try:
        for resources, actions in _by_resources(permissions()).items():
            arns = [
                arn.format(account=site.account_id, region=site.region).replace("*", "x") if arn != "*" else arn
                for arn in resources
            ]
            pages = simulation.paginate(
                PolicySourceArn=_policy_source(caller), ActionNames=sorted(actions), ResourceArns=arns
            )
            asked |= actions
            for page in pages:
                answers = page.get("EvaluationResults", [])
                denied |= {r["EvalActionName"] for r in answers if r["EvalDecision"] != "allowed"}
    except ScenarioError as error:
        return _Answer(f"not simulated ({error})", trouble=True)
    except (ClientError, BotoCoreError) as error:
        why = "iam:SimulatePrincipalPolicy is not allowed" if code_of(error) in _DENIED else str(error)
        return _Answer(f"not simulated ({why}): a call that is refused will say what is missing", trouble=True)
    if denied:
        some = ", ".join(sorted(denied)[:_NAMED]) + (" …" if len(denied) > _NAMED else "")
        return _Answer(
            f"of {len(asked)} actions IAM's simulation refuses {len(denied)}: {some}; `s3logjam policy` prints what"
            " the run needs",
            trouble=True,
        )
    return _Answer(f"IAM's simulation allows all {len(asked)} actions")


def _by_resources(permissions: Iterable[Permission]) -> dict[tuple[str, ...], set[str]]:
    """Return actions by resources: a dozen simulations instead of one for each action, which IAM would throttle."""
    found: dict[tuple[str, ...], set[str]] = {}
    for each in permissions:
        found.setdefault(each.resources, set()).update(each.actions)
    return found


def _policy_source(caller: str) -> str:
    """Return the ARN that has the policies: of an assumed role's session, the role (without its path)."""
    if ":assumed-role/" not in caller:
        return caller
    head, _, rest = caller.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.split('/')[0]}"
