"""Queues that a service sends to: making one, and taking what is new out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
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

    They arrived when SQS took them. A message that SQS hands out again, as it may, is deleted without a word.
    """
    sqs = site.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    # A wait of a second asks all of SQS's servers; without one, an answer may be empty though there are messages.
    asked: dict[str, Any] = {"MaxNumberOfMessages": _PAGE, "WaitTimeSeconds": 1}
    while batch := sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["SentTimestamp"], **asked).get(
        "Messages"
    ):
        for message in batch:
            name = f"sqs://{queue}/{message['MessageId']}"
            if name in known:
                continue
            known.add(name)
            taken = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
            yield text_delivery(channel, name, message["Body"], taken, site.clock.now())
        entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(batch)]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
