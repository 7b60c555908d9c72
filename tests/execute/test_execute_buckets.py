"""Further source buckets: new when asked for, or laid in before, and none used twice."""

from __future__ import annotations

import pytest
from offline import Bench

from harness.channels import PollPolicy
from harness.errors import CredentialsError
from harness.execute.buckets import SourceBuckets
from harness.planning.fake_aws import FakeAws, refusal
from harness.testing import FakeChannel

PLAIN, LOCKED = "{}", '{"ObjectLockEnabledForBucket": true}'


def by_bucket() -> FakeChannel:
    return FakeChannel(policy=PollPolicy(interval_seconds=60, absence_seconds=60, promise="none", by_bucket=True))


@pytest.fixture
def buckets(bench: Bench) -> SourceBuckets:
    return SourceBuckets(bench.site, [bench.channel])


def test_a_bucket_is_made_when_it_is_asked_for_and_watched(bench: Bench, buckets: SourceBuckets) -> None:
    first, second = buckets.take({}), buckets.take({})
    assert first != second
    assert bench.channel.watched == [first, second]
    assert bench.journal.watched_buckets() == {first, second}


def test_what_was_laid_in_is_taken_first_by_kind(bench: Bench, buckets: SourceBuckets, aws: FakeAws) -> None:
    assert len(list(buckets.lay_in({PLAIN: 2, LOCKED: 1}))) == 3
    laid_in = buckets.in_stock
    assert len(laid_in) == 3
    made = len(aws.parameters("CreateBucket"))
    taken = [buckets.take({}), buckets.take({"ObjectLockEnabledForBucket": True}), buckets.take({})]
    assert set(taken) == laid_in
    assert not buckets.in_stock
    assert len(aws.parameters("CreateBucket")) == made
    assert buckets.take({}) not in laid_in


def test_a_run_that_is_taken_up_again_finds_its_stock_and_makes_what_is_missing(
    bench: Bench, buckets: SourceBuckets
) -> None:
    list(buckets.lay_in({PLAIN: 3}))
    used = buckets.take({})
    again = SourceBuckets(bench.site, [bench.channel])
    assert again.in_stock == buckets.in_stock
    assert used not in again.in_stock
    list(again.lay_in({PLAIN: 3}))
    assert len(again.in_stock) == 3
    assert used not in again.in_stock
    assert len({name for kind, name, *_ in bench.journal.resources() if kind == "bucket"}) == 4


def test_a_new_bucket_is_visited_where_a_channel_is_switched_on_bucket_by_bucket(bench: Bench, aws: FakeAws) -> None:
    SourceBuckets(bench.site, [FakeChannel()]).take({})
    assert len(aws.parameters("GetBucketLocation")) == 0
    name = SourceBuckets(bench.site, [by_bucket()]).take({})
    assert [asked["Bucket"] for asked in aws.parameters("GetBucketLocation")] == [name]


def test_a_visit_that_is_refused_ends_nothing_but_expired_credentials_do(bench: Bench, aws: FakeAws) -> None:
    buckets = SourceBuckets(bench.site, [by_bucket()])
    aws.answers["GetBucketLocation"] = refusal("AccessDenied", 403)
    buckets.visit(["a", "b"])
    assert len(aws.parameters("GetBucketLocation")) == 2
    aws.answers["GetBucketLocation"] = refusal("ExpiredToken", 400)
    with pytest.raises(CredentialsError):
        buckets.visit(["a"])
