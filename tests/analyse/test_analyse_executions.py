"""How executions ended, and reasons that rows share."""

from __future__ import annotations

from typing import Any

import pytest
from offline import a_call

from harness.analyse.executions import Ending, Execution, by_reason, executions, shared_reason
from harness.model import CellKey, Role

GET, PUT = CellKey(operation="GetObject"), CellKey(operation="PutObject")


def test_every_planned_execution_is_there_whatever_became_of_it() -> None:
    found = executions(
        {GET: (3, ""), PUT: (2, ""), CellKey(operation="GetObjectTorrent"): (0, "retired")},
        {(GET, 0): ("done", None), (GET, 1): ("failed", "boom"), (GET, 2): ("started", None), (PUT, 0): ("done", None)},
        [],
    )
    assert [(e.cell.operation, e.repeat, e.ending, e.reason) for e in found] == [
        ("GetObject", 0, Ending.AS_MEANT, ""),
        ("GetObject", 1, Ending.NOT_AS_MEANT, "boom"),
        ("GetObject", 2, Ending.BROKEN_OFF, ""),
        ("PutObject", 0, Ending.AS_MEANT, ""),
        ("PutObject", 1, Ending.NOT_EXECUTED, ""),
        ("GetObjectTorrent", None, Ending.NOT_RUN, "retired"),
    ]


def test_an_execution_has_the_answers_of_its_own_calls_under_test() -> None:
    calls = [
        a_call(1, cell=GET, status=503, error_code="SlowDown"),
        a_call(2, cell=GET, status=200),
        a_call(3, cell=GET, repeat=1, status=None, failure="ReadTimeoutError"),
        a_call(4, cell=GET, role=Role.SETUP, status=500),
        a_call(5, cell=PUT, status=204),
    ]
    first, second = executions({GET: (2, "")}, {}, calls)
    assert first.statuses == ("503 SlowDown", "200")
    assert second.statuses == ("no answer (ReadTimeoutError)",)


CREATED = (
    "An error occurred (InternalFailure) when calling the CreateThing operation: not for bucket s3lm-0badcafe-src7"
)


@pytest.mark.parametrize(
    ("failure", "calls", "reason"),
    [
        ("meant to end with 403, got 200", [{}], "meant to end with 403, got 200"),
        (
            "meant to end with 404, got 501 (An error occurred (X) when calling the Y operation: s3lm-1)",
            [{"status": 501}],
            "meant to end with 404, got 501",
        ),
        (
            "meant to end with 200 or 409, got 400, 400 (no\nmore)",
            [{"status": 400}, {"status": 400}],
            "meant to end with 200 or 409, got 400, 400",
        ),
        (f"meant to end with 404, got no call ({CREATED})", [], "CreateThing was answered InternalFailure"),
        (f"cannot create thing s3lm-0badcafe: {CREATED}", [], "CreateThing was answered InternalFailure"),
        (CREATED, [], "what it needs could not be prepared: CreateThing was answered InternalFailure"),
        (CREATED, [{"status": 501, "error_code": "NotImplemented"}], "answered 501 NotImplemented"),
        ("Could not connect", [{"status": None, "failure": "ConnectionError"}], "no answer (ConnectionError)"),
        (
            "An error occurred (500) when calling the PutObject operation (reached max retries: 2): Internal",
            [{"status": 200}],
            "answered 200 with what botocore cannot read",
        ),
        ("KeyError: 'x'", [{"status": 200}], "KeyError: 'x'"),
    ],
)
def test_a_reason_has_nothing_in_it_that_differs_from_row_to_row(
    failure: str, calls: list[dict[str, Any]], reason: str
) -> None:
    found = shared_reason(failure, [a_call(n, **changes) for n, changes in enumerate(calls)])
    assert found.endswith(reason)
    assert "s3lm-" not in found


def test_a_long_reason_is_cut() -> None:
    assert len(shared_reason("x" * 10_000, [])) < 200


def test_rows_are_grouped_by_reason_each_once_and_the_largest_group_first() -> None:
    def failed(cell: CellKey, why: str, repeat: int = 0) -> Execution:
        return Execution(cell=cell, repeat=repeat, ending=Ending.NOT_AS_MEANT, reason=why)

    head = CellKey(operation="HeadObject")
    found = [failed(GET, "a"), failed(PUT, "b"), failed(PUT, "b", repeat=1), failed(head, "b")]
    found.append(Execution(cell=head, repeat=1, ending=Ending.AS_MEANT))
    assert list(by_reason(found, Ending.NOT_AS_MEANT).items()) == [("b", [PUT, head]), ("a", [GET])]
