"""What channels make is deleted from the journal alone: in the right order, in any state, as often as one likes."""

from __future__ import annotations

import json

import pytest
from offline import T0

from harness.channels import channels
from harness.environment.removal import OF_CHANNELS
from harness.environment.site import Site
from harness.environment.teardown import teardown
from harness.journal import Journal
from harness.planning.fake_aws import Answer, FakeAws, refusal

pytestmark = pytest.mark.usefixtures("no_backoff")
GONE = {
    "log-group": ("DeleteLogGroup", "ResourceNotFoundException", "logs"),
    "delivery-destination": ("DeleteDeliveryDestination", "ResourceNotFoundException", "logs"),
    "delivery-source": ("DeleteDeliverySource", "ResourceNotFoundException", "logs"),
    "delivery": ("DeleteDelivery", "ResourceNotFoundException", "logs"),
    "role-policy": ("DeleteRolePolicy", "NoSuchEntity", "iam"),
    "trail-log-group": ("UpdateTrail", "TrailNotFoundException", "cloudtrail"),
    "queue": ("GetQueueUrl", "QueueDoesNotExist", "sqs"),
    "rule": ("ListTargetsByRule", "ResourceNotFoundException", "events"),
}
ORDER = (
    ("DeleteDelivery", "DeleteDeliverySource"),
    ("DeleteDeliverySource", "DeleteDeliveryDestination"),
    ("DeleteDeliveryDestination", "DeleteLogGroup"),
    ("RemoveTargets", "DeleteRule"),
    ("DeleteRule", "DeleteQueue"),
    ("UpdateTrail", "DeleteRolePolicy"),
    ("DeleteRolePolicy", "DeleteRole"),
    ("DeleteTrail", "DeleteBucket"),
)


def left(journal: Journal) -> list[str]:
    return [name for _, name, state, _ in journal.resources() if state != "deleted"]


def provision(site: Site, aws: FakeAws) -> None:
    aws.answers["ListTargetsByRule"] = Answer(b'{"Targets": [{"Id": "queue", "Arn": "arn:aws:sqs:::q"}]}')
    made = [make() for make in channels().values()]
    for channel in made:
        channel.enable(site)
    site.make_bucket(site.bucket)
    for channel in made:
        channel.watch(site, site.bucket)
    aws.made.clear()


def test_every_kind_that_a_channel_makes_can_be_deleted(site: Site, aws: FakeAws) -> None:
    provision(site, aws)
    kinds = {kind for kind, *_ in site.journal.resources()}
    assert set(OF_CHANNELS) <= kinds
    assert teardown(site) == []
    assert left(site.journal) == []


def test_nothing_is_deleted_before_what_hangs_on_it(site: Site, aws: FakeAws) -> None:
    provision(site, aws)
    teardown(site)
    calls = aws.operations()
    last = {name: index for index, name in enumerate(calls)}
    for first, then in ORDER:
        assert last[first] < last[then], (first, then)


def test_a_second_teardown_asks_nothing(site: Site, aws: FakeAws) -> None:
    provision(site, aws)
    teardown(site)
    aws.made.clear()
    assert teardown(site) == []
    assert aws.made == []


@pytest.mark.parametrize("kind", OF_CHANNELS)
@pytest.mark.parametrize("state", ["intended", "created"])
def test_what_is_gone_counts_as_deleted(kind: str, state: str, site: Site, aws: FakeAws, journal: Journal) -> None:
    operation, code, service = GONE[kind]
    journal.resource(kind, "thing", state, T0, **({"id": "d-1"} if kind == "delivery" else {}))
    answer = refusal(code, 400, service=service)
    if service == "iam":
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>gone</Message></Error></ErrorResponse>"
        answer = Answer(body.encode(), 404)
    aws.answers[operation] = answer
    assert teardown(site) == []
    assert left(journal) == []
    assert operation in aws.operations()


@pytest.mark.parametrize("kind", OF_CHANNELS)
def test_what_cannot_be_deleted_is_told_and_tried_again(kind: str, site: Site, aws: FakeAws, journal: Journal) -> None:
    operation, _, service = GONE[kind]
    journal.resource(kind, "thing", "created", T0, **({"id": "d-1"} if kind == "delivery" else {}))
    refused = refusal("AccessDeniedException", 400, service=service)
    if service == "iam":
        refused = Answer(b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", 403)
    aws.answers[operation] = [refused]
    (told,) = teardown(site)
    assert told.startswith(f"{kind} thing: ")
    assert teardown(site) == []
    assert left(journal) == []


def test_a_delivery_whose_id_was_never_journaled_is_found_by_its_source(
    site: Site, aws: FakeAws, journal: Journal
) -> None:
    """A process that is killed between the call and the journal leaves no id."""
    journal.resource("delivery", "mine", "intended", T0)
    there = [{"id": "d-1", "deliverySourceName": "other"}, {"id": "d-2", "deliverySourceName": "mine"}]
    aws.answers["DescribeDeliveries"] = Answer(json.dumps({"deliveries": there}).encode())
    assert teardown(site) == []
    assert aws.parameters("DeleteDelivery") == [{"id": "d-2"}]
