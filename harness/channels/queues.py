"""Queues that a service sends to: making one, and taking what is new out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from harness.channels import Permission, text_delivery
from harness.environment.site import TAG_KEY, Site
from harness.model import Delivery

LOOKS = frozenset({"ReceiveMessage"})
QUEUE = (
    Permission(
        actions=(
            "sqs:CreateQueue",
            "sqs:TagQueue",
            "sqs:GetQueueUrl",
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:DeleteQueue",
        ),
        resources=("arn:aws:sqs:{region}:{account}:s3lm-*",),
    ),
)
"""To make a queue, read it and delete it."""
_RETENTION_SECONDS = 14 * 86_400
_HIDDEN_SECONDS = 120
"""How long a message that was received and not deleted stays away: enough to take ten of them, and little against
``absence_seconds``, because what a killed process has received, or a lost answer has held, comes again only then.

Where a fast clock is through with it before a batch is taken, nothing is lost: its receipts hold until another receive,
which follows only when the batch has been deleted, and a message that comes again is known by its name.
"""
_OUT_OF_ORDER = timedelta(seconds=10)
"""SQS keeps the order of messages only about: one that came so much later than a poll began may be handed out before
one that was there.
"""
_PAGE = 10
"""As many as SQS hands out at once."""


def make_queue(site: Site, name: str, service: str, conditions: Mapping[str, Mapping[str, str]]) -> None:
    """Create and tag a queue that a service may send to under conditions."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": site.arn("sqs", name),
        "Condition": conditions,
    }
    attributes = {
        "MessageRetentionPeriod": str(_RETENTION_SECONDS),
        "VisibilityTimeout": str(_HIDDEN_SECONDS),
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    }
    sqs, tags = site.client("sqs"), {TAG_KEY: site.run_id}
    site.make("queue", name, lambda: sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags))


def new_messages(site: Site, channel: str, queue: str, known: set[str]) -> Iterator[Delivery]:
    """Yield the messages of a queue that are not known yet, and delete them ten by ten when they have been taken.

    They arrived when SQS took them. A message that SQS hands out again, as it may, is deleted without a word. What
    comes while others are taken is the next poll's, or one poll of a busy queue would never end.
    """
    sqs = site.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    # A wait of a second asks all of SQS's servers; without one, an answer may be empty though there are messages.
    asked: dict[str, Any] = {"MaxNumberOfMessages": _PAGE, "WaitTimeSeconds": 1}
    caught_up: datetime | None = None
    while True:
        answer = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["SentTimestamp"], **asked)
        batch = answer.get("Messages", [])
        if not batch:
            return
        caught_up = caught_up or _their_time(answer, site) + _OUT_OF_ORDER
        sent = [datetime.fromtimestamp(int(each["Attributes"]["SentTimestamp"]) / 1000, UTC) for each in batch]
        for message, sent_at in zip(batch, sent, strict=True):
            name = f"sqs://{queue}/{message['MessageId']}"
            if name in known:
                continue
            known.add(name)
            yield text_delivery(channel, name, message["Body"], sent_at, site.clock.now())
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(batch)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        if min(sent) > caught_up:
            return


def _their_time(answer: Mapping[str, Any], site: Site) -> datetime:
    """Return when SQS answered, on the clock that stamps its messages; on the run's where the answer tells none."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(told) if told else site.clock.now()
