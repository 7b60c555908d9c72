"""The journal is the run's only durable state: what was written is there, whatever happened in between."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offline import HOSTILE, T0, a_call, a_delivery, a_record
from process_kit import PATIENCE_SECONDS

from harness.errors import DamagedJournalError, ExitCode, JournalError
from harness.journal import FILE_NAME, Journal
from harness.model import Call, CellKey, Parsed, Reject, Role

TEXTS = (*HOSTILE, "", "\n", "x" * 2**20, "'; DROP TABLE calls; --", "\u05d0\u05d1\u05d2", "\uffff\U0010ffff")
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)  # SQLite holds no lone surrogates


def test_a_new_journal_can_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with Journal(path, create=True) as journal:
        journal.note("seed", 7)
    with Journal(path) as journal:
        assert journal.fact("seed") == 7


def test_an_existing_journal_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    Journal(path, create=True).close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="exists already") as caught:
        Journal(path, create=True)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_a_missing_journal_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with pytest.raises(JournalError, match="no journal at") as caught:
        Journal(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
    assert not path.exists()


def foreign_text(path: Path) -> None:
    path.write_text("Dear diary, this is no database. " * 100, "utf-8")


def foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (title TEXT)")
    db.close()


def other_schema(path: Path) -> None:
    with Journal(path, create=True) as journal:
        journal.note("schema", 999)


def empty_file(path: Path) -> None:
    path.touch()


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [foreign_text, foreign_database, other_schema, empty_file, folder])
def test_a_file_that_is_no_journal_is_an_error_that_names_it(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    make(path)
    with pytest.raises(JournalError) as caught:
        Journal(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("make", [foreign_text, foreign_database, empty_file])
def test_a_file_that_is_no_journal_is_told_as_that_and_is_left_as_it_was(make: Any, tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    make(path)
    before = path.read_bytes()
    with pytest.raises(DamagedJournalError, match="is not an s3logjam journal, or damaged"):
        Journal(path)
    assert path.read_bytes() == before


@pytest.fixture
def no_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written where the journal is; said by the system to whoever is not root."""
    monkeypatch.setattr("harness.journal.os.access", lambda _path, mode: mode != os.W_OK)


def test_a_journal_that_cannot_be_written_is_read(journal: Journal, no_writing: None) -> None:
    journal.intend(a_call(1))
    with Journal(journal.path) as while_it_is_written:
        assert len(while_it_is_written.calls()) == 1
    journal.close()
    files = set(journal.path.parent.iterdir())
    with Journal(journal.path) as alone:
        assert len(alone.calls()) == 1
        with pytest.raises(JournalError, match="copy it to where you may write"):
            alone.note("seed", 1)
    assert set(journal.path.parent.iterdir()) == files


def test_an_older_journal_that_cannot_be_written_is_read(journal: Journal, no_writing: None) -> None:
    with journal._writing() as db:
        db.execute("DROP TABLE polls")
    journal.close()
    with Journal(journal.path) as old:
        assert old.polls() == {}


def cut(body: bytes) -> bytes:
    return body[: len(body) // 2]


def zeroed(body: bytes) -> bytes:
    return body[:4096] + bytes(len(body) - 4096)


def flipped(body: bytes) -> bytes:
    return body[:4096] + bytes(255 - each for each in body[4096:8192]) + body[8192:]


@pytest.mark.parametrize("damage", [cut, zeroed, flipped])
def test_a_damaged_journal_is_told_as_that(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with Journal(path, create=True) as journal:
        journal.check()
        for number in range(1, 50):
            journal.intend(a_call(number))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedJournalError, match="or damaged"), Journal(path) as journal:
        journal.check()


def test_a_value_that_nothing_can_be_made_of_is_damage(journal: Journal) -> None:
    with journal._writing() as db:
        db.execute("INSERT INTO facts VALUES ('broken', '{')")
    with pytest.raises(DamagedJournalError):
        journal.facts()


def test_a_journal_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "folder" / FILE_NAME
    with pytest.raises(JournalError) as caught:
        Journal(path, create=True)
    assert str(path) in str(caught.value)


def test_facts_keep_their_types_and_the_last_value(journal: Journal) -> None:
    facts = {"n": 1, "f": 0.5, "t": "…", "l": [1, None], "d": {"a": True}}
    for name, value in facts.items():
        journal.note(name, "first")
        journal.note(name, value)
    assert {name: journal.fact(name) for name in facts} == facts
    assert facts.items() <= journal.facts().items()
    assert journal.fact("unknown", "default") == "default"


def test_the_plan_comes_back_in_its_order(journal: Journal) -> None:
    cells = {
        CellKey(operation="PutObject"): (3, ""),
        CellKey(operation="GetObject", variant="denied"): (1, ""),
        CellKey(operation="CopyObject"): (0, "no scenario yet"),
    }
    journal.plan(cells)
    assert list(journal.planned().items()) == list(cells.items())


def test_an_execution_has_the_state_that_was_written_last(journal: Journal) -> None:
    cell = CellKey(operation="PutObject")
    journal.execution(cell, 0, "started", None, T0)
    journal.execution(cell, 0, "failed", "no luck", T0)
    journal.execution(cell, 1, "started", None, T0)
    assert journal.executions() == {(cell, 0): ("failed", "no luck"), (cell, 1): ("started", None)}


def test_a_failure_is_kept_without_the_secrets_of_its_url(journal: Journal) -> None:
    cell = CellKey(operation="GetObject")
    journal.execution(cell, 0, "failed", 'no answer: "https://h.example/k?X-Amz-Signature=abc123&a=1"', T0)
    assert journal.executions()[cell, 0][1] == 'no answer: "https://h.example/k?X-Amz-Signature=***&a=1"'


def test_resources_come_back_in_the_order_of_creation_with_their_last_state(journal: Journal) -> None:
    journal.resource("bucket", "first", "intended", T0, region="eu-west-1")
    journal.resource("trail", "second", "intended", T0)
    journal.resource("bucket", "first", "created", T0)
    assert journal.resources() == [
        ("bucket", "first", "created", {"region": "eu-west-1"}),
        ("trail", "second", "intended", {}),
    ]


def test_a_call_comes_back_as_it_was_written(journal: Journal) -> None:
    call = a_call(
        7,
        attempt=3,
        repeat=2,
        host="bucket.s3.amazonaws.com",
        path="/key?x=1",
        server_date=T0,
        error_code="SlowDown",
        expected={"server-access": 2},
        failure="EndpointConnectionError",
    )
    journal.intend(replace(call, received_at=None, server_date=None, status=None, request_id=None, host_id=None))
    journal.complete(call)
    assert journal.calls() == [call]
    assert journal.next_call_number() == 8


def test_calls_can_be_asked_for_by_role_in_the_order_of_sending(journal: Journal) -> None:
    for number, role in enumerate([Role.SETUP, Role.SUBJECT, Role.CONTROL, Role.SUBJECT], 1):
        journal.intend(a_call(number, role=role))
    assert [call.number for call in journal.calls()] == [1, 2, 3, 4]
    assert [call.number for call in journal.calls(Role.SUBJECT)] == [2, 4]
    assert [call.number for call in journal.calls(Role.SUBJECT, Role.CONTROL)] == [2, 3, 4]


def test_times_come_back_in_utc_to_the_microsecond(journal: Journal) -> None:
    moment = T0.replace(microsecond=123456)
    journal.intend(a_call(sent_at=moment))
    (call,) = journal.calls()
    assert call.sent_at == moment
    assert call.sent_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
def test_hostile_text_comes_back_unchanged_from_everywhere(text: str, journal: Journal) -> None:
    call = a_call(key=text, bucket=text, path=text, user_agent=text, error_code=text, failure=text)
    record = a_record(call, name=text, identity=text, raw=text, fields={text: text, "n": 1, "none": None})
    reject = Reject(channel="server-access", reason=text, raw=text, offset=None)
    journal.intend(call)
    journal.resource("bucket", text, "intended", T0, detail_text=text)
    journal.note(text, text)
    journal.move_cursor(text, text)
    journal.deliver(a_delivery(text), Parsed((record,), (reject,)))
    with Journal(journal.path) as again:
        assert again.calls() == [call]
        assert again.resources() == [("bucket", text, "intended", {"detail_text": text})]
        assert again.fact(text) == text
        assert again.cursor(text) == text
        ((found, delivery),) = again.records()
        assert found == record
        assert delivery.name == text
        assert again.rejects() == [(reject, text)]


@given(raw=ANY_TEXT, name=ANY_TEXT, value=ANY_TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none())
@settings(max_examples=30)
def test_any_record_comes_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, raw: str, name: str, value: str | int | None
) -> None:
    record = a_record(raw=raw, name=name, fields={name: value})
    with Journal(tmp_path_factory.mktemp("journal") / FILE_NAME, create=True) as journal:
        journal.deliver(a_delivery(), Parsed((record,)))
        assert [found for found, _ in journal.records()] == [record]


def test_a_delivery_that_is_known_is_left_alone(journal: Journal) -> None:
    first = Parsed((a_record(identity="first"),))
    journal.deliver(a_delivery("s3://logs/1"), first)
    journal.deliver(a_delivery("s3://logs/1"), Parsed((a_record(identity="second"), a_record(identity="third"))))
    assert [record.identity for record, _ in journal.records()] == ["first"]
    assert journal.known_deliveries("server-access") == {"s3://logs/1"}


def test_the_same_name_in_another_channel_is_another_delivery(journal: Journal) -> None:
    journal.deliver(a_delivery("1", channel="server-access"), Parsed())
    journal.deliver(a_delivery("1", channel="cloudtrail"), Parsed())
    assert journal.known_deliveries("cloudtrail") == {"1"}
    assert journal.delivery_counts()["cloudtrail"]["deliveries"] == 1


def test_a_delivery_is_written_with_all_of_its_records_or_not_at_all(journal: Journal) -> None:
    unwritable = a_record(fields={"moment": T0})  # type: ignore[dict-item]  # neither JSON nor SQLite can hold it
    with pytest.raises(TypeError):
        journal.deliver(a_delivery(), Parsed((a_record(), unwritable)))
    assert journal.known_deliveries("server-access") == set()
    assert list(journal.records()) == []
    journal.deliver(a_delivery(), Parsed((a_record(),)))
    assert len(list(journal.records())) == 1


def test_deliveries_are_counted_by_channel(journal: Journal) -> None:
    reject = Reject(channel="server-access", reason="bad", raw="x", offset=3)
    journal.deliver(a_delivery("1"), Parsed((a_record(identity="a"), a_record(identity="b")), (reject,)))
    journal.deliver(a_delivery("2", body=None), Parsed())
    assert journal.delivery_counts() == {
        "server-access": {"deliveries": 2, "vanished": 1, "records": 2, "rejects": 1, "foreign": 0}
    }
    assert journal.rejects() == [(reject, "1")]


def test_foreign_records_are_counted_with_the_delivery_that_had_them_and_only_once(journal: Journal) -> None:
    for name, foreign in (("1", 40), ("2", 2), ("1", 40)):
        journal.deliver(a_delivery(name), Parsed(foreign=foreign))
    assert journal.delivery_counts()["server-access"]["foreign"] == 42
    assert list(journal.records()) == []


def test_only_deliveries_of_others_are_forgotten_and_only_those_that_arrived_before(journal: Journal) -> None:
    later = T0 + timedelta(hours=1)
    journal.deliver(a_delivery("foreign"), Parsed(foreign=3))
    journal.deliver(a_delivery("foreign and later", later), Parsed(foreign=4))
    journal.deliver(a_delivery("ours among them"), Parsed((a_record(),), foreign=5))
    reject = Reject(channel="server-access", reason="bad", raw="x")
    journal.deliver(a_delivery("rejected among them"), Parsed(rejects=(reject,), foreign=6))
    journal.deliver(a_delivery("empty"), Parsed())
    journal.deliver(a_delivery("foreign", channel="cloudtrail"), Parsed(foreign=7))
    before = journal.delivery_counts()
    journal.forget_foreign("server-access", later)
    kept = {"foreign and later", "ours among them", "rejected among them", "empty"}
    assert journal.known_deliveries("server-access") == kept
    assert journal.known_deliveries("cloudtrail") == {"foreign"}
    journal.forget_foreign("cloudtrail", later)
    assert journal.known_deliveries("cloudtrail") == set()
    assert journal.delivery_counts() == before


def test_duplicates_of_a_record_count_once_among_the_request_ids(journal: Journal) -> None:
    call = a_call()
    journal.deliver(a_delivery("1"), Parsed((a_record(call), a_record(call, identity="other"))))
    journal.deliver(a_delivery("2"), Parsed((a_record(call), a_record(request_id=None))))


def test_a_detail_of_a_resource_stays_until_another_one_is_given(journal: Journal) -> None:
    journal.resource("delivery", "a", "intended", T0)
    journal.resource("delivery", "a", "created", T0, id="d-1")
    journal.resource("delivery", "a", "deleted", T0)
    assert journal.resources() == [("delivery", "a", "deleted", {"id": "d-1"})]


def test_cursors_are_kept_by_channel(journal: Journal) -> None:
    assert journal.cursor("server-access") is None
    journal.move_cursor("server-access", {"after": "2026"})
    journal.move_cursor("server-access", {"after": "2027"})
    journal.move_cursor("cloudtrail", 3)
    assert journal.cursor("server-access") == {"after": "2027"}
    assert journal.cursor("cloudtrail") == 3


def test_polls_are_kept_by_channel_in_the_order_of_time(journal: Journal) -> None:
    for minute in (0, 1, 2):
        journal.polled("cloudtrail-lookup", T0 + timedelta(minutes=minute))
    journal.polled("server-access", T0)
    with Journal(journal.path) as again:
        assert again.polls() == {
            "cloudtrail-lookup": [T0 + timedelta(minutes=minute) for minute in (0, 1, 2)],
            "server-access": [T0],
        }


def test_a_journal_from_before_polls_were_kept_is_read(journal: Journal) -> None:
    with sqlite3.connect(journal.path) as db:
        db.execute("DROP TABLE polls")
    db.close()
    with Journal(journal.path) as again:
        assert again.polls() == {}
        again.polled("cloudtrail", T0)
        assert again.polls() == {"cloudtrail": [T0]}


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from offline import T0, a_call, a_delivery, a_record
from harness.journal import Journal
from harness.model import CellKey, Parsed

journal = Journal(Path({file!r}), create=True)
journal.note("started_at", T0.isoformat())
journal.resource("bucket", "half-made", "intended", T0)
journal.execution(CellKey(operation="PutObject"), 0, "started", None, T0)
journal.deliver(a_delivery(), Parsed((a_record(a_call()),)))
journal.intend(a_call(1, received_at=None, status=None))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_intended_survives_a_kill_between_intent_and_deed(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    script = KILLED.format(path=[str(Path(__file__).parent)], file=str(path))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Journal(path) as journal:
        (call,) = journal.calls()
        assert (call.number, call.received_at, call.status) == (1, None, None)
        assert journal.next_call_number() == 2
        assert journal.resources() == [("bucket", "half-made", "intended", {})]
        assert journal.executions() == {(CellKey(operation="PutObject"), 0): ("started", None)}
        assert len(list(journal.records())) == 1
        journal.complete(a_call(1))
        assert journal.calls() == [a_call(1)]


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk on which SQLite finds room for few pages."""
    connect = sqlite3.connect

    def connect_small(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        db = connect(*args, **kwargs)
        db.execute("PRAGMA max_page_count = 40")
        return db

    monkeypatch.setattr("harness.journal.sqlite3.connect", connect_small)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_an_error_that_says_so_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    with Journal(path, create=True) as journal:
        journal.intend(a_call(1))
        with pytest.raises(JournalError) as caught:
            journal.deliver(a_delivery(), Parsed((a_record(raw="x" * 2**20),)))
        assert str(path) in str(caught.value)
        assert "disk is full" in str(caught.value)
        assert journal.calls() == [a_call(1)]
        assert journal.known_deliveries("server-access") == set()


@pytest.mark.usefixtures("small_disk")
def test_a_journal_can_be_written_again_once_there_is_room(tmp_path: Path) -> None:
    with Journal(tmp_path / FILE_NAME, create=True) as journal:
        with pytest.raises(JournalError):
            journal.intend(a_call(1, path="x" * 2**20))
        journal.intend(a_call(1))
        assert journal.calls() == [a_call(1)]


def test_a_journal_that_was_closed_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    journal = Journal(tmp_path / FILE_NAME, create=True)
    journal.close()
    with pytest.raises(JournalError):
        journal.calls()
    with pytest.raises(JournalError):
        journal.note("a", 1)


def test_another_process_can_read_while_a_run_writes(journal: Journal) -> None:
    with Journal(journal.path) as reader:
        journal.intend(a_call(1))
        assert [call.number for call in reader.calls()] == [1]


def test_a_call_without_a_cell_comes_back_without_one(journal: Journal) -> None:
    call: Call = a_call(cell=None, role=Role.SETUP)
    journal.intend(call)
    assert journal.calls() == [call]
