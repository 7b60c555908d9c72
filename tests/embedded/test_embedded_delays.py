"""Delivery is late, batched and out of order, as on AWS, but repeatable: a seed and a sequence of requests fix it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest
from embedded_kit import Trail, World, due, line_time, running_world, selector, split_line

from harness.embedded.delays import CLOUDTRAIL_DELAY, SERVER_ACCESS_DELAY, DelayModel

# Slower than the other tests' clock, so that a batch window holds several requests: two minutes last 67 ms.
FACTOR = 1800.0
REQUESTS = 30
SEED = 11
MODELS = {"server-access": SERVER_ACCESS_DELAY, "cloudtrail": CLOUDTRAIL_DELAY}
CHANNEL = pytest.mark.parametrize("channel", MODELS)

Ledger = list[dict[str, Any]]


@dataclass(frozen=True)
class Story:
    """A server that has been asked for many things, and where it delivers what it logs."""

    world: World
    source: str
    log_bucket: str
    trail: Trail

    def of(self, channel: str) -> Ledger:
        return [entry for entry in self.world.ledger() if entry["channel"] == channel]


def tell(world: World) -> Story:
    """Make the same requests on any server: some hundred records in each channel."""
    source, log_bucket = world.logged_bucket()
    data = selector(
        ("eventCategory", "Equals", ["Data"]),
        ("resources.type", "Equals", ["AWS::S3::Object"]),
        ("resources.ARN", "StartsWith", [f"arn:aws:s3:::{source}/"]),
    )
    with world.trail(AdvancedEventSelectors=[data]) as trail:
        # At once, so that a batch window holds several of them on a slow machine too.
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: world.s3.put_object(Bucket=source, Key=f"{n:02}", Body=b"x"), range(REQUESTS)))
        keys = [{"Key": f"{number:02}"} for number in range(2 * REQUESTS)]
        world.s3.delete_objects(Bucket=source, Delete={"Objects": keys})
    return Story(world, source, log_bucket, trail)


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    with running_world(seed=SEED, factor=FACTOR) as world:
        told = tell(world)
        world.settle()
        yield told


def draws(story: Story) -> dict[str, list[float]]:
    return {channel: [entry["drawn_delay_seconds"] for entry in story.of(channel)] for channel in MODELS}


def draws_of_a_server(seed: int) -> dict[str, list[float]]:
    with running_world(seed=seed, factor=36_000) as world:
        return draws(tell(world))


def draws_without_a_trail(seed: int) -> dict[str, list[float]]:
    with running_world(seed=seed, factor=36_000) as world:
        source, _log_bucket = world.logged_bucket()
        for number in range(5):
            world.s3.put_object(Bucket=source, Key=str(number), Body=b"")
        lines = [entry for entry in world.ledger() if entry["channel"] == "server-access"]
        return {"server-access": [entry["drawn_delay_seconds"] for entry in lines]}


@pytest.fixture(scope="module")
def others() -> dict[str, dict[str, list[float]]]:
    """What other servers drew: the same seed, another one, and the same without the second channel."""
    with ThreadPoolExecutor(3) as pool:
        same, other = pool.submit(draws_of_a_server, SEED), pool.submit(draws_of_a_server, SEED + 1)
        alone = pool.submit(draws_without_a_trail, SEED)
        return {"same": same.result(), "other": other.result(), "alone": alone.result()}


def test_the_same_seed_and_requests_draw_the_same_delays(
    story: Story, others: dict[str, dict[str, list[float]]]
) -> None:
    assert others["same"] == draws(story)


@CHANNEL
def test_another_seed_draws_other_delays(story: Story, others: dict[str, dict[str, list[float]]], channel: str) -> None:
    before, after = draws(story)[channel], others["other"][channel]
    assert len(after) == len(before)
    assert not set(after) & set(before)


def test_the_delays_of_one_channel_do_not_depend_on_the_other(
    story: Story, others: dict[str, dict[str, list[float]]]
) -> None:
    """A run with one channel less must be comparable with one that has both."""
    alone = others["alone"]["server-access"]
    assert len(alone) == 6
    assert alone == draws(story)["server-access"][:6]


@CHANNEL
def test_every_record_is_delivered_after_its_drawn_delay_at_the_end_of_its_batch_window(
    story: Story, channel: str
) -> None:
    for entry in story.of(channel):
        assert entry["delivered_at"] - entry["completed_at"] >= entry["drawn_delay_seconds"] - 0.001
        assert entry["delivered_at"] >= due(entry)


def test_what_is_due_in_one_batch_window_is_due_together_at_its_end() -> None:
    model = DelayModel(median_seconds=100, sigma=1, maximum_seconds=1000, batch_seconds=120)
    assert model.due(1200, 0) == 1200
    assert {model.due(1200 + completed, drawn) for completed in (0, 15, 30) for drawn in (0.001, 44, 90)} == {1320}
    assert model.due(1230, 90.001) == 1440


@CHANNEL
def test_drawn_delays_are_spread_around_the_stated_median(story: Story, channel: str) -> None:
    model, drawn = MODELS[channel], draws(story)[channel]
    assert len(drawn) > 3 * REQUESTS
    assert 0.75 * model.median_seconds < median(drawn) < 1.33 * model.median_seconds
    assert 0 < min(drawn) < 0.7 * model.median_seconds
    assert 1.4 * model.median_seconds < max(drawn) <= model.maximum_seconds


def test_no_delay_is_longer_than_the_stated_maximum() -> None:
    model = DelayModel(median_seconds=100, sigma=3, maximum_seconds=500, batch_seconds=1)
    source = random.Random(1)
    drawn = [model.draw(source) for _ in range(500)]
    assert 0 < min(drawn) < 100 < max(drawn) == 500


def access_files(story: Story) -> dict[str, list[tuple[str, Any]]]:
    """Return (request id, time) of the records of every server access log object."""
    found = {}
    for key, body in story.world.objects(story.log_bucket).items():
        lines = [split_line(line) for line in body.decode().splitlines()]
        found[key] = [(line["request_id"], line_time(line)) for line in lines]
    return found


def files(story: Story, channel: str) -> dict[str, list[tuple[str, Any]]]:
    if channel == "server-access":
        return access_files(story)
    return {key: [(e["requestID"], e["eventTime"]) for e in events] for key, events in story.trail.files().items()}


@CHANNEL
def test_files_hold_several_records_and_are_not_in_order(story: Story, channel: str) -> None:
    found = files(story, channel)
    times = [[time for _, time in records] for records in found.values()]
    assert len(found) > 1
    assert any(len(each) > 1 for each in times)
    assert any(each != sorted(each) for each in times)
    in_order_of_names = [time for key in sorted(found) for _, time in found[key]]
    assert in_order_of_names != sorted(in_order_of_names)


@CHANNEL
def test_the_ledger_tells_the_object_of_every_record(story: Story, channel: str) -> None:
    told: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in story.of(channel):
        told[entry["object"].rpartition("s3://")[2].partition("/")[2]][entry["request_id"]] += 1
    delivered = {
        key: Counter(request_id for request_id, _ in records) for key, records in files(story, channel).items()
    }
    assert delivered == told


@CHANNEL
def test_log_objects_are_stamped_with_the_time_of_their_delivery(story: Story, channel: str) -> None:
    bucket = story.log_bucket if channel == "server-access" else story.trail.bucket
    pages = story.world.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    stamps = {
        f"s3://{bucket}/{each['Key']}": each["LastModified"].timestamp() for page in pages for each in page["Contents"]
    }
    now = story.world.clock.now().timestamp()
    for entry in story.of(channel):
        assert due(entry) <= entry["delivered_at"]
        assert int(entry["delivered_at"]) <= stamps[entry["object"]] <= now


@CHANNEL
def test_ordinals_count_the_records_of_a_source(story: Story, channel: str) -> None:
    ordinals = [entry["ordinal"] for entry in story.of(channel)]
    assert ordinals == list(range(len(ordinals)))
