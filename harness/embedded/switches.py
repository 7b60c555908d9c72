"""Where AWS's documents contradict each other, the server picks a side openly; these switches pick another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switch:
    """One question: its possible answers, the default first, and what the documents say."""

    answers: tuple[str, ...]
    question: str


SWITCHES: Mapping[str, Switch] = {
    "form-post": Switch(
        ("PutObject", "PostObject"),
        "CloudTrail's name of a browser's form POST: PutObject (Netskope 2019), or PostObject (AWS tables, 2019, 2023)",
    ),
    "failed-authentication": Switch(
        ("not-delivered", "delivered"),
        "failed authentication in CloudTrail: not delivered (S3 User Guide, logging options), or as data events of"
        " s3-authn-errors.amazonaws.com (CloudTrail User Guide, filtering data events)",
    ),
    "lifecycle": Switch(
        ("not-delivered", "delivered"),
        "lifecycle actions in CloudTrail: never (S3 User Guide, lifecycle and logging), or as data events of"
        " s3lifecycle.amazonaws.com (CloudTrail User Guide, filtering data events)",
    ),
    "head-bucket": Switch(
        ("data", "management"),
        "HeadBucket as data or management event: the S3 User Guide lists it as both",
    ),
    "logging-starts": Switch(
        ("at-once", "late"),
        "a bucket's access logging begins when it is switched on, or late: over about an hour (S3 User Guide, server"
        " access logging), 15 to 20 minutes to a log group (S3 User Guide, access logs in CloudWatch Logs)",
    ),
}


class UnknownBehaviourError(ValueError):
    """There is no such switch or answer; the message lists what there is."""


@dataclass(frozen=True, slots=True)
class Behaviours:
    """The answers in force."""

    chosen: Mapping[str, str]

    @classmethod
    def from_texts(cls, texts: list[str]) -> Behaviours:
        """Read ``name=answer`` texts.

        Raises:
            UnknownBehaviourError: A name or an answer is unknown.
        """
        chosen = {name: switch.answers[0] for name, switch in SWITCHES.items()}
        for text in texts:
            name, _, answer = text.partition("=")
            if name not in SWITCHES or answer not in SWITCHES[name].answers:
                there = "; ".join(f"{n}={'|'.join(s.answers)}" for n, s in SWITCHES.items())
                raise UnknownBehaviourError(f"unknown behaviour {text!r}: there are {there}")
            chosen[name] = answer
        return cls(chosen)

    def __getitem__(self, name: str) -> str:
        return self.chosen[name]
