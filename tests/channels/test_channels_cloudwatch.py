"""The two channels of log groups: how they are linked, and how their events are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from offline import ACCOUNT, REGION, T0

from harness.channels import channels
from harness.environment.site import Site
from harness.formats.server_access_json import FIELDS
from harness.planning.fake_aws import Answer, FakeAws, refusal
from harness.testing import FakeClock

pytestmark = pytest.mark.usefixtures("no_backoff")
NAMES = ("server-access-cloudwatch", "cloudtrail-cloudwatch")


def event(number: int, at: datetime, message: str = "{}") -> dict[str, Any]:
    stamp = round(at.timestamp() * 1000)
    return {"eventId": str(number), "ingestionTime": stamp + 123, "timestamp": stamp, "message": message}


def page(*events: dict[str, Any], token: str = "") -> Answer:
    return Answer(json.dumps({"events": events} | ({"nextToken": token} if token else {})).encode())


def since_start_time(events: list[dict[str, Any]]) -> Callable[[AWSPreparedRequest], Answer]:
    """Answer FilterLogEvents as CloudWatch Logs does: by the events' timestamps."""

    def answer(request: AWSPreparedRequest) -> Answer:
        start = json.loads(request.body)["startTime"]
        return page(*(each for each in events if each["timestamp"] >= start))

    return answer


def test_every_source_bucket_is_delivered_whole_to_the_runs_log_group(site: Site, aws: FakeAws) -> None:
    channel = channels()["server-access-cloudwatch"]()
    channel.enable(site)
    channel.watch(site, site.bucket)
    (source,), (delivery,) = aws.parameters("PutDeliverySource"), aws.parameters("CreateDelivery")
    (destination,) = aws.parameters("PutDeliveryDestination")
    assert source["resourceArn"] == f"arn:aws:s3:::{site.bucket}"
    assert source["logType"] == "S3_SERVER_ACCESS_LOGS"
    assert delivery["deliverySourceName"] == source["name"]
    assert delivery["deliveryDestinationArn"].endswith(f":delivery-destination:{destination['name']}")
    assert delivery["recordFields"] == list(FIELDS)
    group = destination["deliveryDestinationConfiguration"]["destinationResourceArn"]
    assert group.endswith(f":log-group:{aws.parameters('CreateLogGroup')[0]['logGroupName']}")
    assert len(source["name"]) <= 60


def test_a_region_without_vended_access_logs_is_told_before_anything_is_made(site: Site, aws: FakeAws) -> None:
    aws.answers["DescribeConfigurationTemplates"] = Answer(b"{}")
    assert REGION in channels()["server-access-cloudwatch"]().preflight(site)
    aws.answers["DescribeConfigurationTemplates"] = refusal("AccessDeniedException", service="logs")
    assert channels()["server-access-cloudwatch"]().preflight(site) == ""


def test_the_trail_gets_a_log_group_and_a_role_that_only_it_may_assume(site: Site, aws: FakeAws) -> None:
    channels()["cloudtrail-cloudwatch"]().enable(site)
    (role,), (policy,) = aws.parameters("CreateRole"), aws.parameters("PutRolePolicy")
    (trust,) = json.loads(role["AssumeRolePolicyDocument"])["Statement"]
    assert trust["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    assert trust["Condition"]["StringEquals"]["aws:SourceArn"].endswith(f":trail/{site.trail_name}")
    (write,) = json.loads(policy["PolicyDocument"])["Statement"]
    assert write["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert f":log-stream:{ACCOUNT}_CloudTrail_{REGION}" in write["Resource"]
    (update,) = aws.parameters("UpdateTrail")
    assert update["CloudWatchLogsRoleArn"].endswith(f":role/{role['RoleName']}")
    assert update["CloudWatchLogsLogGroupArn"].endswith(":*")
    assert aws.operations()[-1] == "UpdateTrail"


def test_three_channels_share_one_trail(site: Site, aws: FakeAws) -> None:
    for name in ("cloudtrail", "cloudtrail-cloudwatch", "eventbridge"):
        channels()[name]().enable(site)
    assert len(aws.parameters("CreateTrail")) == len(aws.parameters("StartLogging")) == 1


@pytest.mark.parametrize("name", NAMES)
def test_events_arrive_when_they_were_ingested_and_each_is_told_once(name: str, site: Site, aws: FakeAws) -> None:
    first, second = event(1, T0), event(2, T0 + timedelta(seconds=5))
    aws.answers["FilterLogEvents"] = [page(first, token="more"), page(first, second)]
    found = list(channels()[name]().poll(site, T0, set()))
    assert [delivery.arrived_at for delivery in found] == [
        datetime.fromtimestamp(each["ingestionTime"] / 1000, UTC) for each in (first, second)
    ]
    aws.answers["FilterLogEvents"] = page(first, second)
    assert list(channels()[name]().poll(site, T0, {delivery.name for delivery in found})) == []


def test_an_access_log_record_is_found_however_late_it_comes(site: Site, aws: FakeAws, clock: FakeClock) -> None:
    """Its timestamp may be that of the request: no page says that it is that of the delivery."""
    clock.at = T0 + timedelta(days=2)
    aws.answers["FilterLogEvents"] = since_start_time([event(1, T0), event(2, T0 + timedelta(hours=30))])
    channel = channels()["server-access-cloudwatch"]()
    assert len(list(channel.poll(site, clock.at - timedelta(minutes=5), set()))) == 2


def test_a_trails_event_is_found_as_late_as_one_is_waited_for(site: Site, aws: FakeAws, clock: FakeClock) -> None:
    """The log group has the events of the whole account: it is not read from the beginning."""
    clock.at = T0 + timedelta(days=2)
    channel = channels()["cloudtrail-cloudwatch"]()
    since, waited = clock.at - timedelta(minutes=1), timedelta(seconds=channel.policy.absence_seconds)
    aws.answers["FilterLogEvents"] = since_start_time([event(1, T0), event(2, since - waited + timedelta(minutes=1))])
    (found,) = channel.poll(site, since, set())
    assert found.name.endswith("#2")
