"""The state database, on SQLite and on a real PostgreSQL."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from mlops_assets.errors import GovernanceError, StoreError
from mlops_assets.records import ApprovalDecision, RetrainingDecision
from mlops_assets.stores.state import StateStore

NOW = datetime(2013, 4, 1, 6, 30, 15, 250_000, tzinfo=UTC)
processes = multiprocessing.get_context("fork")  # an instance may cross a fork, and spawning takes a second each


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def state(url) -> StateStore:
    """A store in an empty database."""
    return StateStore(url)


def append(state: StateStore, number: int = 0, model: str = "flight_delay"):
    """Append an entry that is told apart by its number."""
    return state.audit_append(
        "model.trained", actor="pipeline", subject={"model": model}, data={"number": number}, at=NOW
    )


def raw_connection(url: str):
    """A way into the database that knows nothing of the library, as somebody who tampers would have."""
    if url.startswith("sqlite"):
        return sa.create_engine(url)
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))


def drop_triggers(url: str, table: str) -> None:
    """Take the guards of a table away, which its owner always can."""
    with raw_connection(url).begin() as connection:
        if url.startswith("sqlite"):
            names = connection.exec_driver_sql(
                f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'"
            ).scalars()
            for name in list(names):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")


def run_together(count: int, work: Callable[[int, object], None]) -> None:
    """Run `work(number, barrier)` in `count` processes at once; every one must end well."""
    barrier = processes.Barrier(count)
    started = [processes.Process(target=work, args=(number, barrier)) for number in range(count)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0] * count


# --- audit log ---


def test_entries_come_back_as_they_were_appended(state):
    """What is given back at once is what is read later."""
    appended = [append(state, number) for number in range(3)]

    entries = state.audit_entries()

    assert list(entries) == appended
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert entries[0].at == NOW
    assert entries[2].data == {"number": 2}


def test_entries_are_found_by_model_and_by_number(state):
    """A reader goes on where it stopped, and sees one model if it asks for one."""
    for model in ("flight_delay", "air_time", "flight_delay"):
        append(state, model=model)

    assert [entry.seq for entry in state.audit_entries(model="flight_delay")] == [1, 3]
    assert [entry.seq for entry in state.audit_entries(after_seq=1)] == [2, 3]
    assert [entry.seq for entry in state.audit_entries(after_seq=1, model="flight_delay")] == [3]


def test_a_time_of_another_zone_is_kept_in_utc(state):
    """Where it was told does not change when it was."""
    new_york = NOW.astimezone(timezone(timedelta(hours=-4)))

    entry = state.audit_append("a.b", actor="x", subject={}, data={}, at=new_york)

    assert entry.at == NOW
    assert entry.at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(state):
    """Nobody could say later when it was."""
    with pytest.raises(StoreError, match="no zone"):
        state.audit_append("a.b", actor="x", subject={}, data={}, at=NOW.replace(tzinfo=None))


def test_content_without_a_canonical_form_is_refused_and_leaves_no_gap(state):
    """A refused entry takes no number."""
    append(state)

    with pytest.raises(GovernanceError, match="canonical"):
        state.audit_append("a.b", actor="x", subject={}, data={"auc": float("nan")}, at=NOW)

    assert append(state).seq == 2
    assert state.audit_verify() == 2


@pytest.mark.parametrize("table", ["mlops_audit", "mlops_approvals", "mlops_retraining", "mlops_versions"])
def test_the_database_itself_refuses_changes(state, url, table):
    """Not even a connection past the library may change what is written."""
    fill_every_table(state)
    changes = ["UPDATE {} SET model = 'x'", "DELETE FROM {}"]
    changes += ["TRUNCATE {}"] * url.startswith("postgresql")  # SQLite has none

    for change in changes:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), raw_connection(url).begin() as connection:
            connection.exec_driver_sql(change.format(table))

    assert state.audit_verify() == 1
    assert state.version_of("m", "b" * 64) == 1


def fill_every_table(state: StateStore) -> None:
    """Put one row into each table."""
    append(state)
    state.approval_add(decision())
    state.decide_once(retraining())
    state.register("m", "b" * 64, "{}")


def test_insert_or_replace_does_not_slip_past_the_triggers(tmp_path):
    """SQLite deletes silently for INSERT OR REPLACE; only the next number is ever taken."""
    state = StateStore(f"sqlite:///{tmp_path / 'state.sqlite'}")
    append(state)

    with pytest.raises(sqlite3.IntegrityError, match="append-only"), sqlite3.connect(tmp_path / "state.sqlite") as raw:
        raw.execute("INSERT OR REPLACE INTO mlops_audit VALUES (1, 'x', 'y', x'00', NULL)")

    assert state.audit_verify() == 1


@pytest.mark.parametrize(
    ("tampering", "named"),
    [
        ("UPDATE mlops_audit SET body = (SELECT body FROM mlops_audit WHERE seq = 2) WHERE seq = 3", 3),
        ("UPDATE mlops_audit SET model = 'other' WHERE seq = 4", 4),
        ("UPDATE mlops_audit SET seq = 9 WHERE seq = 5", 5),
        ("DELETE FROM mlops_audit WHERE seq = 2", 2),
        ("DELETE FROM mlops_audit WHERE seq = 1", 1),
    ],
)
def test_verify_names_the_entry_that_was_tampered_with(state, url, tampering, named):
    """Whoever takes the guards away and edits is found out, with the number of the entry."""
    for number in range(6):
        append(state, number)
    drop_triggers(url, "mlops_audit")

    with raw_connection(url).begin() as connection:
        connection.exec_driver_sql(tampering)

    with pytest.raises(GovernanceError, match=f"entry {named}") as error:
        state.audit_verify()
    assert error.value.seq == named


def test_a_cut_tail_is_shown_by_a_receipt(state, url):
    """The newest entries can be taken without a trace, except from whoever kept a receipt."""
    last = [append(state, number) for number in range(4)][-1]
    drop_triggers(url, "mlops_audit")

    with raw_connection(url).begin() as connection:
        connection.exec_driver_sql("DELETE FROM mlops_audit WHERE seq > 2")

    assert state.audit_verify() == 2
    with pytest.raises(GovernanceError, match="receipt for entry 4"):
        state.audit_verify(receipts={last.seq: last.sha256})


def test_eight_processes_append_to_one_new_log_without_gap_or_loss(url):
    """From the creation of the tables on, nobody is refused, nothing is lost, and the chain is one."""

    def append_many(number: int, barrier) -> None:
        barrier.wait()
        state = StateStore(url)
        for turn in range(12):
            append(state, number * 100 + turn)

    run_together(8, append_many)

    state = StateStore(url)
    assert state.audit_verify() == 8 * 12
    written = [entry.data["number"] for entry in state.audit_entries()]
    assert sorted(written) == [number * 100 + turn for number in range(8) for turn in range(12)]
    for number in range(8):
        assert [n % 100 for n in written if n // 100 == number] == list(range(12))


def test_kill_9_loses_no_acknowledged_entry(url):
    """Whatever was acknowledged before the process died is there, and the chain goes on from it."""
    StateStore(url)
    for _ in range(3):
        acknowledged, says = os.pipe()

        def append_for_ever(says=says) -> None:
            state = StateStore(url)
            while True:
                os.write(says, f"{append(state).seq}\n".encode())

        process = processes.Process(target=append_for_ever)
        process.start()
        os.close(says)
        with os.fdopen(acknowledged) as lines:
            first = int(lines.readline())
            time.sleep(0.15)
            os.kill(process.pid, signal.SIGKILL)
            seen = [first, *(int(line) for line in lines if line.endswith("\n"))]
        process.join()

        state = StateStore(url)
        found = {entry.seq for entry in state.audit_entries()}
        assert set(seen) <= found
        assert state.audit_verify() == len(found)
        assert append(state).seq == len(found) + 1


# --- approvals ---


def decision(**changes) -> ApprovalDecision:
    """A person's decision."""
    facts = {
        "model": "flight_delay",
        "bundle_sha256": "b" * 64,
        "dossier_sha256": "d" * 64,
        "approve": True,
        "by": "anna",
        "reason": "holds on all carriers",
        "at": NOW,
    }
    return ApprovalDecision(**facts | changes)


def test_an_act_told_twice_is_one_entry(state):
    """A run that was killed after its entry and is done again changes nothing; any other word is another act."""
    told = {"actor": "pipeline", "subject": {"model": "a"}, "data": {"rows": 3, "reasons": ("x",)}}
    first = state.audit_once("model.trained", at=NOW, **told)
    append(state)

    again = state.audit_once("model.trained", at=NOW.astimezone(timezone(timedelta(hours=2))), **told)
    later = state.audit_once("model.trained", at=NOW + timedelta(seconds=1), **told)
    another = state.audit_once("model.trained", at=NOW, **{**told, "subject": {"table": "a"}})

    assert again == first
    assert [entry.seq for entry in (first, later, another)] == [1, 3, 4]
    assert state.audit_verify() == 4


def test_what_belongs_together_is_kept_together_or_not_at_all(state):
    """A decision and its audit entry: cut off between the two, neither is there and both can be written again."""

    def decide_and_tell(*, cut_off: bool):
        with state.together():
            kept = state.decide_once(retraining())
            if cut_off:
                raise KeyboardInterrupt
            append(state)
        return kept

    with pytest.raises(KeyboardInterrupt):
        decide_and_tell(cut_off=True)
    nothing = (state.decisions("flight_delay"), state.audit_entries())
    kept = decide_and_tell(cut_off=False)

    assert nothing == ((), ())
    assert kept
    assert state.decisions("flight_delay") == (retraining(),)
    assert len(state.audit_entries()) == 1


def test_one_thread_s_block_is_not_another_s(state):
    """Who writes meanwhile waits for the block, and is not part of it."""
    with state.together():
        other = threading.Thread(target=append, args=(state, 2))
        other.start()
        append(state, 1)
        time.sleep(0.2)
        waiting = other.is_alive()
    other.join()

    assert waiting
    assert [entry.data["number"] for entry in state.audit_entries()] == [1, 2]


def test_approvals_come_back_in_order_for_exactly_one_bundle(state):
    """Who decided first stays first, and other bundles' decisions are not seen."""
    state.approval_add(decision(approve=False, reason="too little data"))
    state.approval_add(decision(by="boris"))
    state.approval_add(decision(bundle_sha256="c" * 64))
    state.approval_add(decision(model="air_time"))

    found = state.approvals("flight_delay", "b" * 64)

    assert found == (decision(approve=False, reason="too little data"), decision(by="boris"))


# --- retraining ledger ---


def retraining(**changes) -> RetrainingDecision:
    """A decision about retraining."""
    facts = {
        "model": "flight_delay",
        "retrain": True,
        "trigger": "performance",
        "reason": "AUC 0.66 where 0.72 was promised",
        "answers": "e1",
        "decided_at": NOW,
    }
    return RetrainingDecision(**facts | changes)


def test_evidence_is_answered_once(state):
    """The second answer to the same evidence is refused, whatever it says, and the first one stays."""
    first = state.decide_once(retraining())

    second = state.decide_once(retraining(retrain=False, reason="changed my mind", decided_at=NOW + timedelta(days=1)))

    assert (first, second) == (True, False)
    assert state.decisions("flight_delay") == (retraining(),)


def test_the_same_evidence_of_another_model_is_another_question(state):
    """Models are answered apart."""
    assert state.decide_once(retraining())
    assert state.decide_once(retraining(model="air_time"))


def test_decisions_since_a_time_include_that_time(state):
    """The cooldown's edge counts."""
    days = [NOW + timedelta(days=day) for day in (2, 0, 1)]
    for number, day in enumerate(days):
        state.decide_once(retraining(answers=f"e{number}", decided_at=day))

    found = state.decisions("flight_delay", since=NOW + timedelta(days=1))

    assert [decision.decided_at for decision in found] == [NOW + timedelta(days=1), NOW + timedelta(days=2)]


def test_of_eight_processes_exactly_one_answers(url):
    """Two daemons, or a daemon and a person, never retrain twice for one finding."""
    answered = processes.Value("i", 0)

    def answer(number: int, barrier) -> None:
        state = StateStore(url)
        barrier.wait()
        for question in range(5):
            if state.decide_once(retraining(answers=f"e{question}", reason=f"by {number}")):
                with answered.get_lock():
                    answered.value += 1

    run_together(8, answer)

    assert answered.value == 5
    assert len(StateStore(url).decisions("flight_delay")) == 5


# --- model versions ---


def test_a_bundle_keeps_the_number_it_was_given(state):
    """Registering the same bundle again changes nothing; each model counts for itself."""
    numbers = [
        state.register("flight_delay", "a" * 64, '{"n": 1}'),
        state.register("flight_delay", "b" * 64, '{"n": 2}'),
        state.register("flight_delay", "a" * 64, '{"n": 3}'),
        state.register("air_time", "c" * 64, "{}"),
    ]

    assert numbers == [1, 2, 1, 1]
    assert [(v.version, v.bundle_sha256[0], v.record_json) for v in state.versions("flight_delay")] == [
        (1, "a", '{"n": 1}'),
        (2, "b", '{"n": 2}'),
    ]
    assert state.version_of("flight_delay", "b" * 64) == 2
    assert state.version_of("air_time", "b" * 64) is None


def test_versions_stay_dense_when_eight_processes_register(url):
    """Every bundle gets one number, and together they are 1, 2, 3 … without gaps."""

    def register(number: int, barrier) -> None:
        state = StateStore(url)
        barrier.wait()
        for turn in range(6):
            shared = f"{(number // 2) * 10 + turn:064d}"  # two processes each register the same bundles
            state.register("flight_delay", shared, "{}")

    run_together(8, register)

    versions = StateStore(url).versions("flight_delay")
    assert [v.version for v in versions] == list(range(1, 4 * 6 + 1))
    assert len({v.bundle_sha256 for v in versions}) == 4 * 6


# --- the database ---


def test_a_second_store_opens_what_the_first_one_made(state, url):
    """A restart goes on where it stopped."""
    append(state)

    assert StateStore(url).audit_verify() == 1


def of_tables(state: StateStore) -> None:
    """Forty entries about three tables, a model and nothing in particular."""
    events = ("data.waived", "data.quarantined", "data.corrected", "model.trained")
    subjects = ({"table": "a"}, {"table": "b", "partition": "2013-04-01"}, {"table": "c"}, {"model": "a"}, {})
    for n in range(40):
        subject = subjects[n % 5]
        state.audit_append(events[n * 7 % 4], actor="jo", subject=subject, data={"number": n}, at=NOW)


def test_entries_about_a_table_are_those_a_search_of_the_whole_log_finds(state):
    """Waivers are looked for with every batch, so nobody reads the whole log for them."""
    of_tables(state)
    wanted = {"data.waived", "data.corrected"}
    everything = state.audit_entries()

    found = {table: state.audit_of_table(table, wanted) for table in ("a", "b", "c", "d")}

    for table, entries in found.items():
        assert entries == tuple(e for e in everything if e.subject.get("table") == table and e.event in wanted)
    assert [len(entries) for entries in found.values()] == [4, 4, 4, 0]


def test_a_log_of_before_is_found_by_its_tables_once_it_is_opened(state, url):
    """A state database made by a library that did not keep them apart is brought up to date, and stays guarded."""
    of_tables(state)
    before = state.audit_of_table("b", ["data.waived"])
    drop_triggers(url, "mlops_audit_tables")
    with raw_connection(url).begin() as connection:
        connection.exec_driver_sql("DROP TABLE mlops_audit_tables")
        connection.exec_driver_sql("UPDATE mlops_schema SET version = 1")

    opened = StateStore(url)

    assert opened.audit_of_table("b", ["data.waived"]) == before
    assert opened.audit_verify() == 40
    assert StateStore(url).audit_verify() == 40
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), raw_connection(url).begin() as connection:
        connection.exec_driver_sql("DELETE FROM mlops_audit_tables")


def test_an_entry_that_its_table_no_longer_finds_breaks_the_log(state, url):
    """Otherwise a waiver could be made to be overlooked."""
    of_tables(state)
    drop_triggers(url, "mlops_audit_tables")
    with raw_connection(url).begin() as connection:
        connection.exec_driver_sql("DELETE FROM mlops_audit_tables WHERE seq = 12")

    with pytest.raises(GovernanceError, match="12"):
        state.audit_verify()


def test_a_database_of_a_newer_library_is_refused(state, url):
    """What we do not understand we do not write to."""
    with raw_connection(url).begin() as connection:
        connection.exec_driver_sql("UPDATE mlops_schema SET version = 99")

    with pytest.raises(StoreError, match="Upgrade"):
        StateStore(url)


def test_a_writer_waits_for_another_writer(state, url):
    """`database is locked` is a reason to wait, not to fail."""

    def hold(number: int, barrier) -> None:
        if number == 0:
            with state._database.writing():
                barrier.wait()
                time.sleep(0.5)
        else:
            barrier.wait()
            append(state)

    run_together(2, hold)

    assert state.audit_verify() == 1


NO_ROOM = """
import resource, sys
from pathlib import Path
from datetime import UTC, datetime
from mlops_assets.errors import StoreError
from mlops_assets.stores.state import StateStore
file = Path(sys.argv[1])
state = StateStore(f"sqlite:///{file}")
note = dict(actor="ada", subject={}, at=datetime(2024, 1, 1, tzinfo=UTC))
state.audit_append("data.waived", data={}, **note)
resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, resource.RLIM_INFINITY))
try:
    state.audit_append("data.waived", data={"rules": ["x" * 1000] * 1000}, **note)
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
state.audit_append("data.waived", data={}, **note)
print(state.audit_verify())
"""


def test_a_disk_without_room_keeps_what_was_there_and_is_told_with_what_to_do(tmp_path):
    """A file that may not grow; once it may, writing goes on, and nothing of the entry that had no room is there."""
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path / "state.sqlite")], capture_output=True, text=True, check=True
    )

    refusal, count = done.stdout.splitlines()
    assert "Its disk is full or failing" in refusal
    assert count == "2"


def test_opening_waits_while_another_process_switches_the_file_to_wal(tmp_path):
    """SQLite refuses that switch at once, without any timeout, while somebody else is at it."""
    other = sqlite3.connect(tmp_path / "state.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.3, other.close)
    done.start()

    state = StateStore(f"sqlite:///{tmp_path / 'state.sqlite'}")

    done.join()
    assert append(state).seq == 1


def test_readers_do_not_wait_for_a_writer(state):
    """The audit log can be read while something is being written."""
    append(state)

    with state._database.writing():
        assert len(state.audit_entries()) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://host/name", "not in 'mysql'"),
        ("state.sqlite", "does not name a database"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "Start the server"),
        ("sqlite:////proc/nowhere/state.sqlite", "this user may write"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_with_its_remedy(url, says):
    """The message says what to do, and never shows a password."""
    with pytest.raises(StoreError, match=says) as error:
        StateStore(url)

    assert "secret" not in str(error.value)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """Somebody else's file is not written over."""
    path = tmp_path / "state.sqlite"
    path.write_bytes(b"these are notes, not a database" * 100)

    with pytest.raises(StoreError, match="move it away"):
        StateStore(f"sqlite:///{path}")

    assert path.read_bytes().startswith(b"these are notes")
