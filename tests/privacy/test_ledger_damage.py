"""A ledger that was altered, or that cannot be used, lets nothing be trained, and says so in one line."""

import hashlib
import json
import multiprocessing
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gossipfl.errors import LedgerError
from gossipfl.privacy.accounting import Charge
from gossipfl.privacy.ledger import LedgerAccount, open_account
from gossipfl.privacy.ledger_chain import Link
from gossipfl.privacy.ledger_opening import AccountRequest
from gossipfl.privacy.ledger_records import digest_of, keyed_tags
from gossipfl.privacy.ledger_schema import MIGRATIONS, connect
from gossipfl.privacy.spent import spent

STEP = Charge(0.04, 1.0)
FORK = multiprocessing.get_context("fork")  # a fresh interpreter would take seconds to import everything


def opened(path: Path, *names: str) -> LedgerAccount:
    tags = [hashlib.sha256(name.encode()).digest() for name in names]
    return open_account(path, AccountRequest(tags, 1e-5, "rdp", None, False, None, "run", "a"))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "l"
    with opened(path, "x", "y") as account:
        for _ in range(3):
            account.charge(STEP)
    return path


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as caught:
        attempt()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET charges = 0",
        "DELETE FROM entries",
        "UPDATE records SET entry = 1",
        "DELETE FROM records",
        "UPDATE ledger SET secret = zeroblob(32)",
        "DELETE FROM ledger",
    ],
)
def test_the_file_itself_forbids_changes(ledger: Path, statement: str) -> None:
    with closing(sqlite3.connect(ledger)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "UPDATE entries SET body = replace(body, '\"steps\":1', '\"steps\":0') WHERE kind = 'charge'",
            "does not follow",
        ),
        ("UPDATE entries SET charges = charges + 1 WHERE seq = 7", "does not follow"),
        ("UPDATE entries SET hash = zeroblob(32) WHERE seq = 6", "does not follow"),
        ("DELETE FROM entries WHERE seq = 5", "does not follow"),
        ("DELETE FROM records WHERE tag = (SELECT min(tag) FROM records)", "records that joined"),
        ("UPDATE records SET tag = zeroblob(16) WHERE tag = (SELECT min(tag) FROM records)", "records that joined"),
        ("INSERT INTO records VALUES (zeroblob(16), 3)", "records that joined"),
        ("INSERT INTO records VALUES (zeroblob(16), 99)", "belongs to no entry"),
        ("UPDATE ledger SET secret = zeroblob(32)", "secret is another"),
        ("DELETE FROM ledger", "secret is gone"),
        ("DROP TABLE records", "no such table"),
    ],
)
def test_an_altered_ledger_is_refused(ledger: Path, statement: str, says: str) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.commit()
    assert says in refusal(lambda: opened(ledger, "x"))
    assert says in refusal(lambda: spent(ledger))


def test_an_alteration_while_the_account_is_open_is_noticed_at_the_next_charge(ledger: Path) -> None:
    with opened(ledger, "x") as account, closing(sqlite3.connect(ledger)) as connection:
        connection.execute("INSERT INTO entries VALUES (99, 'charge', 9, '{}', zeroblob(32))")
        connection.commit()
        assert "entry 99 does not follow" in refusal(lambda: account.charge(STEP))


def opening(delta: float, *, account: int = 1) -> str:
    said = {"account": account, "run": "", "node": "", "delta": delta, "accountant": "rdp", "target_epsilon": None}
    return json.dumps({"time": "", **said, "public": False})


def charge(**lie: object) -> str:
    said = {"account": 1, "run": "", "sample_rate": 0.04, "noise_multiplier": 1.0, "steps": 1}
    return json.dumps({"time": "", **said, **lie})


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("magic", "[]", "cannot be understood"),
        ("joined", '{"time":"","account":9,"records":0,"digest":""}', "makes no sense"),
        ("joined", '{"time":"","account":1,"records":"many","digest":""}', "makes no sense"),
        ("merged", '{"time":"","into":1,"accounts":7}', "makes no sense"),
        ("merged", '{"time":"","into":1,"accounts":[1]}', "makes no sense"),
        ("merged", '{"time":"","into":9,"accounts":[1]}', "makes no sense"),
        ("started", '{"time":"","account":1,"replaces":[],"reason":null,"run":""}', "makes no sense"),
        ("started", '{"time":"","account":2,"replaces":[1],"reason":null,"run":""}', "makes no sense"),
        ("started", '{"time":"","account":2,"replaces":[3],"reason":"so","run":""}', "makes no sense"),
        ("opened", opening(0), "makes no sense"),
        ("opened", opening(1), "makes no sense"),
        ("charge", charge(steps=-2), "makes no sense"),
        ("charge", charge(steps=0), "makes no sense"),
        ("charge", charge(sample_rate=1.5), "makes no sense"),
        ("charge", charge(noise_multiplier=-1.0), "makes no sense"),
        ("charge", charge(noise_multiplier=float("nan")), "makes no sense"),
        ("charge", charge(beside=[4]), "makes no sense"),
    ],
)
def test_a_forged_entry_of_the_right_hash_but_no_sense_is_refused(
    ledger: Path, kind: str, body: str, says: str
) -> None:
    forge(ledger, kind, body)
    assert says in refusal(lambda: opened(ledger, "x"))


def test_a_reason_where_nothing_was_known_is_read_as_older_versions_wrote_it(ledger: Path) -> None:
    forge(ledger, "started", '{"time":"","account":2,"replaces":[],"reason":"so","run":""}')
    forge(ledger, "opened", opening(1e-5, account=2))
    opened(ledger, "x").close()
    assert [summary.reasons for summary in spent(ledger)] == [(), ("so",)]


def forge(ledger: Path, kind: str, body: str) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        seq, charges, last = connection.execute("SELECT max(seq), charges, hash FROM entries").fetchone()
        charges += kind == "charge"
        digest = hashlib.sha256(last + f"{seq + 1}\n{kind}\n{charges}\n{body}".encode()).digest()
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (seq + 1, kind, charges, body, digest))
        connection.commit()


@pytest.mark.parametrize("garbage", [b"text,label\nsome,data\n" * 40, b"\x00" * 4096])
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "records.csv"
    path.write_bytes(garbage)
    refusal(lambda: opened(path, "x"))
    assert path.read_bytes() == garbage


def test_garbage_inside_a_ledger_is_refused(ledger: Path) -> None:
    content = bytearray(ledger.read_bytes())
    content[4096 : len(content)] = b"\x5a" * (len(content) - 4096)
    ledger.write_bytes(content)
    refusal(lambda: opened(ledger, "x"))


def test_a_truncated_ledger_is_refused(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes()[:5000])
    refusal(lambda: opened(ledger, "x"))


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE entries (seq)")
    assert "another program" in refusal(lambda: opened(path, "x"))


def test_a_ledger_of_a_newer_version_is_refused(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert "newer gossipfl" in refusal(lambda: opened(ledger, "x"))
    assert "schema version 99" in refusal(lambda: spent(ledger))


def test_an_older_ledger_is_brought_up_to_date_and_keeps_what_it_holds(ledger: Path) -> None:
    later = (*MIGRATIONS, ("CREATE TABLE notes (text TEXT)", "INSERT INTO notes VALUES ('two')"))
    for _ in range(2):
        with closing(connect(ledger, migrations=later)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
            assert connection.execute("SELECT text FROM notes").fetchall() == [("two",)]
            assert connection.execute("SELECT max(charges) FROM entries").fetchone() == (3,)


def test_a_ledger_from_before_charges_named_their_level_is_read_as_it_is_and_continued(tmp_path: Path) -> None:
    path = tmp_path / "l"
    tag = hashlib.sha256(b"x").digest()
    with closing(connect(path, migrations=MIGRATIONS[:1])) as connection:
        store_as_version_1(connection, tag)
    (summary,) = spent(path)
    assert (summary.steps, summary.level) == (3, "example")
    with opened(path, "x") as account:
        assert account.charges() == (Charge(0.04, 1.0, 3),)
        account.charge(STEP)
    assert spent(path)[0].steps == 4


def store_as_version_1(connection: sqlite3.Connection, tag: bytes) -> None:
    """Writes what version 1 wrote: an account of one record that has paid three steps."""
    secret = connection.execute("SELECT secret FROM ledger").fetchone()[0]
    keyed = keyed_tags(secret, [tag])
    account = {"account": 1, "run": "run"}
    terms = {"delta": 1e-5, "accountant": "rdp", "target_epsilon": None, "public": False, "node": "a"}
    entries: list[tuple[str, dict[str, object]]] = [
        ("began", {"secret_digest": hashlib.sha256(secret).hexdigest()}),
        ("started", {**account, "replaces": [], "reason": None}),
        ("joined", {"account": 1, "records": 1, "digest": digest_of(keyed)}),
        ("opened", {**account, **terms}),
        ("charge", {**account, "sample_rate": 0.04, "noise_multiplier": 1.0, "steps": 3}),
    ]
    last = Link()
    for kind, values in entries:
        body = json.dumps({"time": "2025-01-01T00:00:00.000+00:00", **values}, sort_keys=True, separators=(",", ":"))
        last = last.next(kind, body)
        row = (last.seq, kind, last.charges, body, last.hash)
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO records VALUES (?, ?)", (keyed[0], 3))


def test_a_place_where_no_file_can_be_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refusal(lambda: opened(tmp_path, "x"))
    refusal(lambda: opened(tmp_path / "file" / "l", "x"))
    refusal(lambda: opened(Path("/proc/ledger.sqlite"), "x"))


def test_a_ledger_that_was_replaced_under_a_run_takes_no_charge(ledger: Path) -> None:
    copy = ledger.read_bytes()
    with opened(ledger, "x") as account:
        ledger.unlink()
        assert "No such file" in refusal(lambda: account.charge(STEP))
        ledger.write_bytes(copy)
        assert "replaced while in use" in refusal(lambda: account.charge(STEP))


def charge_until_the_disk_is_full(path: Path, tell: Connection) -> None:
    account, done = opened(path, "x"), 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, 1 << 17))
    try:
        while done < 10_000:
            account.charge(STEP)
            done += 1
    except LedgerError as error:
        tell.send((done, account.receipt().charges, str(error)))


def test_a_full_disk_refuses_the_charge_and_loses_none(tmp_path: Path) -> None:
    path = tmp_path / "l"
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=charge_until_the_disk_is_full, args=(path, theirs))
    process.start()
    charged, held, message = ours.recv()
    process.join()
    assert 0 < charged == held < 10_000
    assert message.startswith(f"the ledger {path} cannot be written: ")
    assert "\n" not in message
    assert spent(path)[0].charges == charged


def test_a_ledger_that_another_process_makes_meanwhile_is_no_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first look at the file, and before the next."""
    path, real, others = tmp_path / "ledger.sqlite", sqlite3.connect, ["another process"]
    path.touch()

    class Interrupted(sqlite3.Connection):
        def execute(self, sql: str, /, *values: Any) -> Any:
            if not sql.startswith(("SELECT count", "PRAGMA application_id")) or not others:
                return super().execute(sql, *values)
            row = super().execute(sql, *values).fetchone()
            others.clear()
            monkeypatch.setattr(sqlite3, "connect", real)
            connect(path).close()
            return SimpleNamespace(fetchone=lambda: row)

    monkeypatch.setattr(sqlite3, "connect", partial(real, factory=Interrupted))
    connect(path).close()
    assert not others
