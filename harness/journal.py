"""The run's only durable state: an SQLite file, written before and after each deed.

A process that is killed at any instant leaves a journal from which the run can be reported, continued or cleaned up.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.errors import DamagedJournalError, JournalError
from harness.model import Call, CellKey, Delivery, Parsed, Record, Reject, Role
from harness.redact import redact

FILE_NAME = "journal.sqlite"
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE plan (operation TEXT, variant TEXT, repeats INTEGER, reason TEXT, PRIMARY KEY (operation, variant));
CREATE TABLE executions (
    operation TEXT, variant TEXT, repeat INTEGER, state TEXT, failure TEXT, at TEXT,
    PRIMARY KEY (operation, variant, repeat));
CREATE TABLE resources (
    number INTEGER PRIMARY KEY, kind TEXT, name TEXT, state TEXT, detail TEXT, at TEXT, UNIQUE (kind, name));
CREATE TABLE calls (
    number INTEGER PRIMARY KEY, operation TEXT, service TEXT, role TEXT, marker TEXT, sent_at TEXT,
    cell_operation TEXT, cell_variant TEXT, repeat INTEGER, attempt INTEGER, method TEXT, host TEXT, path TEXT,
    bucket TEXT, key TEXT, user_agent TEXT, received_at TEXT, server_date TEXT, status INTEGER, error_code TEXT,
    request_id TEXT, host_id TEXT, expected TEXT, sent TEXT, failure TEXT);
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY, channel TEXT, name TEXT, arrived_at TEXT, seen_at TEXT, size_bytes INTEGER,
    state TEXT, UNIQUE (channel, name));
CREATE TABLE records (
    number INTEGER PRIMARY KEY, delivery INTEGER REFERENCES deliveries, channel TEXT, name TEXT, event_time TEXT,
    request_id TEXT, host_id TEXT, identity TEXT, raw TEXT, place INTEGER, bucket TEXT, key TEXT, user_agent TEXT,
    status INTEGER, error_code TEXT, fields TEXT);
CREATE TABLE rejects (
    number INTEGER PRIMARY KEY, delivery INTEGER REFERENCES deliveries, channel TEXT, reason TEXT, raw TEXT,
    place INTEGER);
CREATE TABLE cursors (channel TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX records_by_delivery ON records (delivery);
"""
_ADDED = {
    "polls": "(number INTEGER PRIMARY KEY, channel TEXT NOT NULL, began_at TEXT NOT NULL)",
    "foreign_records": "(channel TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
    "forgotten": "(channel TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
}
"""Journals that were begun without these tables get them when they are opened."""
_READ_ONLY = "its folder cannot be written: copy it to where you may write, and give the copy"

_ADD = "VALUES (?, ?) ON CONFLICT (channel) DO UPDATE SET n = n + excluded.n"

Resource = tuple[str, str, str, dict[str, Any]]
"""Kind, name, state and detail."""


class Journal:
    """Reads and writes one run's journal; only reads it where it, or its folder, cannot be written.

    Use it as a context manager.

    Args:
        path: The SQLite file.
        create: Whether to make a new one; an existing file is then an error.

    Raises:
        JournalError: The file cannot be created, opened or understood.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if path.exists() == create:
            raise JournalError(f"{path} exists already" if create else f"there is no journal at {path}")
        self.path = path
        self._read_only = not create and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
        try:
            where = _uri_to_read(path) if self._read_only else str(path)
            self._db = sqlite3.connect(where, isolation_level=None, timeout=30, uri=self._read_only)
            self._db.row_factory = sqlite3.Row
            if not create:
                self._know_schema()
            if not self._read_only:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
            if create:
                self._db.executescript(_SCHEMA)
                self.note("schema", SCHEMA_VERSION)
            for name, columns in _ADDED.items():
                if not self._read("SELECT 1 FROM sqlite_master WHERE name = ?", name):
                    # What cannot be written gets them for the time that it is read.
                    self._db.execute(f"CREATE {'TEMP ' if self._read_only else ''}TABLE IF NOT EXISTS {name} {columns}")
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _know_schema(self) -> None:
        """Refuse another file than a journal that this version reads, before anything in it is changed."""
        if not self._read("SELECT 1 FROM sqlite_master WHERE name = 'facts'"):
            raise DamagedJournalError(self.path, "it has no facts of a run")
        if self.fact("schema") != SCHEMA_VERSION:
            raise JournalError(f"{self.path} is of schema {self.fact('schema')}, this version reads {SCHEMA_VERSION}")

    def _unreadable(self, error: sqlite3.Error) -> JournalError:
        if self._read_only and isinstance(error, sqlite3.OperationalError):
            return JournalError(f"cannot read the journal {self.path}: {error} ({_READ_ONLY})")
        # Locks and disks that are full or broken are operational errors; what is malformed is none.
        if not isinstance(error, sqlite3.OperationalError) or "disk I/O" in str(error):
            return DamagedJournalError(self.path, str(error))
        return JournalError(f"cannot read the journal {self.path}: {error}")

    def check(self) -> None:
        """Read the whole file, for what goes on with a run or deletes it.

        Raises:
            DamagedJournalError: It is damaged, whatever could be read of it.
        """
        found = [str(row[0]) for row in self._read("PRAGMA quick_check")]
        if found != ["ok"]:
            raise DamagedJournalError(self.path, found[0].splitlines()[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite rolls back by itself when the disk is full
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            why = _READ_ONLY if self._read_only else "is the disk full?"
            raise JournalError(f"cannot write the journal {self.path}: {error} ({why})") from error

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedJournalError(self.path, f"{type(error).__name__}: {error}") from error

    # Facts of the run, cursors, plan

    def note(self, name: str, value: Any) -> None:
        """Keep a fact of the run (JSON)."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def fact(self, name: str, default: Any = None) -> Any:
        """Return a fact, or the default."""
        rows = self._read("SELECT value FROM facts WHERE name = ?", name)
        with self._understood():
            return json.loads(rows[0]["value"]) if rows else default

    def facts(self) -> dict[str, Any]:
        """Return all facts."""
        with self._understood():
            return {row["name"]: json.loads(row["value"]) for row in self._read("SELECT * FROM facts")}

    def plan(self, cells: Mapping[CellKey, tuple[int, str]]) -> None:
        """Keep the plan: repeats per cell (0: not run) and why not."""
        with self._writing() as db:
            rows = [(c.operation, c.variant, repeats, reason) for c, (repeats, reason) in cells.items()]
            db.executemany("INSERT OR REPLACE INTO plan VALUES (?, ?, ?, ?)", rows)

    def planned(self) -> dict[CellKey, tuple[int, str]]:
        """Return the plan in its order."""
        rows = self._read("SELECT * FROM plan ORDER BY rowid")
        return {CellKey(operation=r["operation"], variant=r["variant"]): (r["repeats"], r["reason"]) for r in rows}

    def execution(self, cell: CellKey, repeat: int, state: str, failure: str | None, at: datetime) -> None:
        """Keep the state of one execution: ``started`` before, ``done`` or ``failed`` after."""
        told = redact(failure) if failure else failure
        with self._writing() as db:
            values = (cell.operation, cell.variant, repeat, state, told, _text(at))
            db.execute("INSERT OR REPLACE INTO executions VALUES (?, ?, ?, ?, ?, ?)", values)

    def executions(self) -> dict[tuple[CellKey, int], tuple[str, str | None]]:
        """Return state and failure by (cell, repeat)."""
        rows = self._read("SELECT * FROM executions ORDER BY rowid")
        return {
            (CellKey(operation=r["operation"], variant=r["variant"]), r["repeat"]): (r["state"], r["failure"])
            for r in rows
        }

    def abandon(self) -> int:
        """Take back every execution that was begun and not ended: its calls are no longer under test.

        Returns:
            How many there were.
        """
        begun = [key for key, (state, _) in self.executions().items() if state == "started"]
        with self._writing() as db:
            for cell, repeat in begun:
                where = "role = ? AND cell_operation = ? AND cell_variant = ? AND repeat = ?"
                values = (Role.SETUP, Role.SUBJECT, cell.operation, cell.variant, repeat)
                db.execute(f"UPDATE calls SET role = ? WHERE {where}", values)  # noqa: S608
        return len(begun)

    # Resources

    def resource(self, kind: str, name: str, state: str, at: datetime, **detail: Any) -> None:
        """Keep the state of a resource: ``intended`` before it is made, ``created`` and ``deleted`` after the deed.

        A detail stays until another one is given: an id, for instance, that AWS gives to what was made.
        """
        with self._writing() as db:
            db.execute(
                "INSERT INTO resources (kind, name, state, detail, at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (kind, name) DO UPDATE SET state = excluded.state, at = excluded.at,"
                " detail = CASE excluded.detail WHEN '{}' THEN detail ELSE excluded.detail END",
                (kind, name, state, json.dumps(detail), _text(at)),
            )

    def resource_state(self, kind: str, name: str) -> str | None:
        """Return the state of a resource, None for one that the journal does not know."""
        rows = self._read("SELECT state FROM resources WHERE kind = ? AND name = ?", kind, name)
        return str(rows[0]["state"]) if rows else None

    def resources(self) -> list[Resource]:
        """Return (kind, name, state, detail) in the order of creation."""
        rows = self._read("SELECT * FROM resources ORDER BY number")
        with self._understood():
            return [(r["kind"], r["name"], r["state"], json.loads(r["detail"])) for r in rows]

    def watched_buckets(self) -> frozenset[str]:
        """Return the source buckets beside the main one that were logged."""
        return frozenset(n for kind, n, _, detail in self.resources() if kind == "bucket" and detail.get("watched"))

    # Calls

    def next_call_number(self) -> int:
        """Return the number of the next call."""
        return int(self._read("SELECT COALESCE(MAX(number), 0) + 1 AS n FROM calls")[0]["n"])

    def intend(self, call: Call) -> None:
        """Write a call before it is sent."""
        with self._writing() as db:
            row = _call_row(call)
            db.execute(f"INSERT INTO calls ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))  # noqa: S608

    def complete(self, call: Call) -> None:
        """Write what came back for a call."""
        with self._writing() as db:
            row = _call_row(call)
            names = ", ".join(f"{name} = ?" for name in row)
            db.execute(f"UPDATE calls SET {names} WHERE number = ?", [*row.values(), call.number])  # noqa: S608

    def calls(self, *roles: Role) -> list[Call]:
        """Return the calls in the order of sending, all or those of some roles."""
        marks = ", ".join("?" * len(roles))
        where = f"WHERE role IN ({marks})" if roles else ""
        with self._understood():
            return [_call(row) for row in self._read(f"SELECT * FROM calls {where} ORDER BY number", *roles)]  # noqa: S608

    # Deliveries and records

    def known_deliveries(self, channel: str) -> set[str]:
        """Return the names of the deliveries of a channel that were read or are gone, and not forgotten."""
        return {row["name"] for row in self._read("SELECT name FROM deliveries WHERE channel = ?", channel)}

    def deliver(self, delivery: Delivery, parsed: Parsed) -> None:
        """Write a delivery with its records and rejects, all or nothing; one that is known already is left alone."""
        of_others = parsed.foreign and not (parsed.records or parsed.rejects)
        state = "vanished" if delivery.body is None else "foreign" if of_others else "read"
        with self._writing() as db:
            values = (delivery.channel, delivery.name, _text(delivery.arrived_at), _text(delivery.seen_at))
            cursor = db.execute(
                "INSERT OR IGNORE INTO deliveries (channel, name, arrived_at, seen_at, size_bytes, state)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*values, delivery.size_bytes, state),
            )
            if not cursor.rowcount:
                return
            number = cursor.lastrowid
            db.executemany(
                "INSERT INTO records (delivery, channel, name, event_time, request_id, host_id, identity, raw, place,"
                " bucket, key, user_agent, status, error_code, fields)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(number, *_record_row(record)) for record in parsed.records],
            )
            db.executemany(
                "INSERT INTO rejects (delivery, channel, reason, raw, place) VALUES (?, ?, ?, ?, ?)",
                [(number, r.channel, r.reason, r.raw, r.offset) for r in parsed.rejects],
            )
            if parsed.foreign:
                db.execute(f"INSERT INTO foreign_records {_ADD}", (delivery.channel, parsed.foreign))

    def forget_foreign(self, channel: str, before: datetime) -> None:
        """Forget the names of the deliveries that held records of others only and arrived before a time.

        They stay counted. A busy account has thousands a minute: whoever polls has no use for names that are never
        listed again.
        """
        with self._writing() as db:
            where = "channel = ? AND state = 'foreign' AND arrived_at < ?"
            gone = db.execute(f"DELETE FROM deliveries WHERE {where}", (channel, _text(before))).rowcount  # noqa: S608
            if gone:
                db.execute(f"INSERT INTO forgotten {_ADD}", (channel, gone))

    def records(self) -> Iterator[tuple[Record, Delivery]]:
        """Yield every record with its delivery, in the order of reading."""
        query = (
            "SELECT records.*, deliveries.name AS delivery_name, arrived_at, seen_at, size_bytes"
            " FROM records JOIN deliveries ON deliveries.number = records.delivery ORDER BY records.number"
        )
        for row in self._read(query):
            with self._understood():
                delivery = Delivery(
                    channel=row["channel"],
                    name=row["delivery_name"],
                    arrived_at=_time(row["arrived_at"]),
                    seen_at=_time(row["seen_at"]),
                    size_bytes=row["size_bytes"],
                )
                record = _record(row)
            yield record, delivery

    def rejects(self) -> list[tuple[Reject, str]]:
        """Return every reject with the name of its delivery."""
        query = "SELECT rejects.*, deliveries.name AS file FROM rejects JOIN deliveries ON deliveries.number = delivery"
        return [
            (Reject(channel=r["channel"], reason=r["reason"], raw=r["raw"], offset=r["place"]), r["file"])
            for r in self._read(query)
        ]

    def delivery_counts(self) -> dict[str, dict[str, int]]:
        """Return per channel: deliveries, vanished ones, records, rejects and foreign records."""
        count = "COUNT(*) AS deliveries, SUM(state = 'vanished') AS vanished"
        query = f"SELECT channel, {count} FROM deliveries GROUP BY channel"  # noqa: S608
        counts = {r["channel"]: {"deliveries": r["deliveries"], "vanished": r["vanished"]} for r in self._read(query)}
        for table in ("records", "rejects"):
            for row in self._read(f"SELECT channel, COUNT(*) AS n FROM {table} GROUP BY channel"):  # noqa: S608
                counts.setdefault(row["channel"], {"deliveries": 0, "vanished": 0})[table] = row["n"]
        for row in self._read("SELECT * FROM forgotten"):
            counts.setdefault(row["channel"], {"deliveries": 0, "vanished": 0})["deliveries"] += row["n"]
        for row in self._read("SELECT * FROM foreign_records"):
            counts[row["channel"]]["foreign"] = row["n"]
        return {channel: {"records": 0, "rejects": 0, "foreign": 0} | numbers for channel, numbers in counts.items()}

    def operations_since(self, number: int) -> dict[str, int]:
        """Return how many calls of each operation were made from a number on."""
        rows = self._read("SELECT operation, COUNT(*) AS n FROM calls WHERE number >= ? GROUP BY operation", number)
        return {row["operation"]: row["n"] for row in rows}

    # Cursors and polls

    def cursor(self, channel: str) -> Any:
        """Return where a channel's polling stands, or None."""
        rows = self._read("SELECT value FROM cursors WHERE channel = ?", channel)
        return json.loads(rows[0]["value"]) if rows else None

    def move_cursor(self, channel: str, value: Any) -> None:
        """Keep where a channel's polling stands (JSON)."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (channel, json.dumps(value)))

    def polled(self, channel: str, began_at: datetime) -> None:
        """Keep when a complete poll of a channel began."""
        with self._writing() as db:
            db.execute("INSERT INTO polls (channel, began_at) VALUES (?, ?)", (channel, _text(began_at)))

    def polls(self) -> dict[str, list[datetime]]:
        """Return by channel when its complete polls began, in their order."""
        found: dict[str, list[datetime]] = {}
        for row in self._read("SELECT channel, began_at FROM polls ORDER BY began_at"):
            found.setdefault(row["channel"], []).append(_time(row["began_at"]))
        return found


def _uri_to_read(path: Path) -> str:
    """Return how SQLite is told to read a file in a folder in which it can make no file of its own."""
    log = path.with_name(f"{path.name}-wal")
    # Without a log nobody is writing, and what is written is all in the file.
    settled = not log.exists() or not log.stat().st_size
    return f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if settled else ''}"


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time_or_none(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _call_row(call: Call) -> dict[str, Any]:
    row = {f.name: getattr(call, f.name) for f in fields(Call) if f.name != "cell"}
    row["cell_operation"] = call.cell.operation if call.cell else None
    row["cell_variant"] = call.cell.variant if call.cell else None
    for name in ("sent_at", "received_at", "server_date"):
        row[name] = _text(row[name])
    row["expected"] = json.dumps(dict(call.expected))
    row["sent"] = json.dumps(dict(call.sent))
    return row


def _call(row: sqlite3.Row) -> Call:
    values = {f.name: row[f.name] for f in fields(Call) if f.name not in ("cell", "expected", "sent", "role")}
    for name in ("sent_at", "received_at", "server_date"):
        values[name] = _time_or_none(values[name])
    cell = CellKey(operation=row["cell_operation"], variant=row["cell_variant"]) if row["cell_operation"] else None
    told = {"expected": json.loads(row["expected"]), "sent": json.loads(row["sent"])}
    return Call(cell=cell, role=Role(row["role"]), **told, **values)


def _record_row(record: Record) -> tuple[Any, ...]:
    text = json.dumps(dict(record.fields), ensure_ascii=False)
    times = (_text(record.event_time), record.request_id, record.host_id, record.identity, record.raw, record.offset)
    place = (record.bucket, record.key, record.user_agent, record.status, record.error_code, text)
    return (record.channel, record.name, *times, *place)


def _record(row: sqlite3.Row) -> Record:
    same = ("channel", "name", "request_id", "host_id", "identity", "raw", "bucket", "key", "user_agent", "status")
    return Record(
        event_time=_time_or_none(row["event_time"]),
        offset=row["place"],
        error_code=row["error_code"],
        fields=json.loads(row["fields"]),
        **{name: row[name] for name in same},
    )
