"""The commands that people act with: what they say, what they leave on record, and what they say no to."""

import errno
import json
import re
import signal
import sqlite3
import sys

import click
import pytest

from mlops_assets.cli import cli, main
from mlops_assets.cli.contract import contract
from mlops_assets.cli.quarantine import quarantine
from mlops_assets.governance import Event
from mlops_assets.records import Dossier
from mlops_assets_tests._shop import LIVE, MODEL, served

ADA = "ada@shop.example"


def test_the_commands_stand_in_the_order_of_the_lifecycle(monkeypatch, capsys):
    """From a new project to the audit of what became of it."""
    monkeypatch.setattr(sys, "argv", ["mlops", "--help"])

    main()

    lines = capsys.readouterr().out.partition("Commands:")[2].splitlines()
    named = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert named[0] == "new"
    assert named[-1] == "audit"
    order = [named.index(name) for name in ("new", "up", "refresh", "train", "approve", "rollback", "status", "audit")]
    assert order == sorted(order)


def test_a_command_behind_an_ampersand_of_a_script_can_be_ended(monkeypatch):
    """There SIGINT is to be ignored; Dagster would give SIGTERM the same, and only kill -9 would be left."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(sys, "argv", ["mlops", "--help"])
    try:
        main()
        found = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)

    assert found is signal.default_int_handler


@pytest.mark.parametrize("group", [cli, quarantine, contract], ids=lambda group: group.name)
def test_the_list_of_commands_cuts_no_sentence_short(group, monkeypatch):
    """On a terminal of 80 columns, where most of them are read."""
    monkeypatch.setenv("COLUMNS", "80")

    shown = group.get_help(click.Context(group, info_name="mlops"))

    assert "..." not in shown.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (["2024-02-30"], "Invalid value for '[FIRST]': '2024-02-30' does not match the format '%Y-%m-%d'"),
        (["yesterday"], "'yesterday' does not match the format '%Y-%m-%d'"),
        (["2024-02-03", "2024-02-01"], "2024-02-01 is before 2024-02-03, so no day lies between. Swap the two."),
    ],
    ids=["no such day", "a word", "backwards"],
)
def test_days_that_are_none_are_refused_in_words(mlops, days, why):
    """Before anything is brought in, and without a traceback."""
    said = mlops("refresh", *days)

    assert said.code == 2
    assert why in said.err


def test_asking_for_training_is_on_record_once(shop, mlops):
    """The sensor finds the request in the ledger; asked for twice at the same time, it is one."""
    first = mlops("train", MODEL, "--reason", "new packaging", "--as", ADA)
    mlops("train", MODEL, "--reason", "new packaging", "--as", ADA)

    asked = [entry for entry in shop.home.state.audit_entries(model=MODEL) if entry.event == Event.RETRAIN_TRIGGERED]
    assert first.code == 0
    assert f"Asked: {ADA} asks for it: new packaging" in first.out
    assert [(entry.actor, entry.data["reason"]) for entry in asked] == [(ADA, "new packaging")]


def test_a_model_that_is_not_there_is_told_with_the_nearest(mlops):
    """In words, without a traceback, and with an exit code that scripts understand."""
    said = mlops("train", "come_back", "--reason", "a mistake")

    assert said.code == 1
    assert said.err.startswith("mlops: model 'come_back' is not known. Did you mean 'comes_back'?")
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (
            sqlite3.OperationalError("database or disk is full"),
            "Dagster's records .* Make room on its disk",
        ),
        (sqlite3.OperationalError("disk I/O error"), "Dagster's records .* full or failing"),
        (OSError(errno.ENOSPC, "No space left on device", "a.log"), "a.log could not be written: the disk is full"),
    ],
)
def test_a_full_disk_is_told_in_words_by_whoever_meets_it(mlops, monkeypatch, cause, words):
    """Dagster keeps its own records beside ours, and says nothing of what to do."""

    def refuse(self, *, now):
        raise RuntimeError("as a library wraps it") from cause

    monkeypatch.setattr("mlops_assets.cli.project.Project.refresh_whole_tables", refuse)

    said = mlops("refresh")

    assert said.code == 1
    assert re.search(words, said.err)
    assert "Traceback" not in said.err


def test_a_reason_is_not_optional(mlops):
    """Whoever reads the audit log later was not there."""
    said = mlops("train", MODEL)

    assert said.code == 2
    assert "--reason" in said.err


def test_an_approval_names_the_dossier_and_goes_on_record(shop, mlops):
    """With who gave it and why, and what to do next."""
    dossier = shop.home.records.get((MODEL, "dossier"), None, Dossier)

    said = mlops("approve", MODEL, "--digest", dossier.sha256, "--reason", "read it", "--as", ADA)

    entry = shop.home.state.audit_entries(model=MODEL)[-1]
    assert said.code == 0
    assert f"Now materialize {MODEL}/approval and {MODEL}/endpoint" in said.out
    assert (entry.event, entry.actor, entry.data["reason"]) == (Event.APPROVAL_GIVEN, ADA, "read it")
    (given,) = shop.home.state.approvals(MODEL, dossier.model_version.sha256)
    assert (given.approve, given.by) == (True, ADA)


def test_an_approval_of_something_else_is_refused_with_the_command_to_type(shop, mlops):
    """And nothing is on record."""
    before = len(shop.home.state.audit_entries())
    dossier = shop.home.records.get((MODEL, "dossier"), None, Dossier)

    said = mlops("approve", MODEL, "--digest", "f" * 64, "--reason", "looks fine", "--as", ADA)

    assert said.code == 1
    assert f"mlops approve {MODEL} --digest {dossier.sha256}" in said.err
    assert len(shop.home.state.audit_entries()) == before


def test_an_event_that_no_policy_knows_is_refused(mlops):
    """Nothing would ever come of it."""
    said = mlops("event", MODEL, "sale")

    assert said.code == 1
    assert "business event of comes_back 'sale' is not known, for there is none" in said.err
    assert "`retraining: {events: {sale: 7}}`" in said.err


def test_a_rollback_without_an_earlier_version_says_so(shop, mlops):
    """The first version stays live."""
    with served(shop):
        said = mlops("rollback", MODEL, "--reason", "a test")

    assert said.code == 1
    assert "has no earlier version to go back to" in said.err


def test_a_rollback_without_a_stack_says_how_to_start_one(mlops):
    """There is nobody to bring anything live."""
    said = mlops("rollback", MODEL, "--reason", "a test")

    assert said.code == 1
    assert "mlops up" in said.err


def test_status_says_what_is_live_and_what_was_decided(shop, mlops):
    """With the time of the replay, and that it is one."""
    mlops("train", MODEL, "--reason", "new packaging", "--as", ADA)

    said = mlops("status")

    release = shop.home.releases.current(MODEL)
    assert f"Time is {LIVE:%Y-%m-%d %H:%M} UTC (a replay's)." in said.out
    for shown in (MODEL, "version 1", release.bundle_sha256[:8], "new packaging", "not tried"):
        assert shown in said.out


@pytest.mark.parametrize(
    ("event", "shown"), [(Event.REPRODUCED, "equal here"), (Event.NOT_REPRODUCED, "NOT reproduced")]
)
def test_status_says_how_far_what_is_live_was_reproduced(shop, mlops, event, shown):
    """The last try counts, and only one of the very bundle that is live."""
    live = shop.home.releases.current(MODEL).bundle_sha256
    for bundle, level in ((live, "recorded"), (live, "equal here"), ("f" * 64, "equal across threads")):
        subject = {"model": MODEL, "version": 1, "bundle_sha256": bundle}
        shop.home.state.audit_append(event, actor="ada", subject=subject, data={"level": level}, at=LIVE)

    said = " ".join(mlops("status").out.replace("│", " ").split())

    assert shown.split()[0] in said
    assert "not tried" not in said
    assert "equal across threads" not in said


def test_the_audit_log_says_why(shop, mlops):
    """What people gave as a reason, and of a gate the rule that was broken rather than those that were kept."""
    reasons = ["Passed: 700 rows.", "Refused: auc is 0.6.", "Note: no champion is live."]
    subject = {"bundle_sha256": "e" * 64, "model": MODEL, "version": 7}
    shop.home.state.audit_append(Event.GATE_REFUSED, actor="ada", subject=subject, data={"reasons": reasons}, at=LIVE)
    shop.home.state.audit_append(Event.HOLD_PLACED, actor="ada", subject=subject, data={"reason": "asked for"}, at=LIVE)

    *_, refused, held = mlops("audit", "--model", MODEL).out.splitlines()

    assert refused.endswith(
        f"gate.refused             model={MODEL} version=7 bundle_sha256={'e' * 12}  by ada: Refused: auc is 0.6."
    )
    assert held.endswith("by ada: asked for")


def test_the_audit_log_is_shown_and_verified(shop, mlops):
    """A line per entry; a deployment without evidence makes the verification fail and is named."""
    listed = mlops("audit", "--model", MODEL)
    sound = mlops("audit", "--verify")
    subject = {"model": MODEL, "bundle_sha256": "f" * 64}
    shop.home.state.audit_append(Event.DEPLOYMENT_COMPLETED, actor="mallory", subject=subject, data={}, at=LIVE)

    broken = mlops("audit", "--verify")

    assert "model.trained" in listed.out
    assert len(listed.out.splitlines()) == len(shop.home.state.audit_entries(model=MODEL)) - 1
    assert (sound.code, broken.code) == (0, 1)
    assert "deployment.completed: no model.trained, gate.passed, approval.granted before it" in broken.err


def test_outside_of_a_project_the_way_into_one_is_told(tmp_path, monkeypatch, capsys):
    """Or how to make one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mlops", "status"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    assert "mlops new PATH" in capsys.readouterr().err


def test_lineage_shows_what_a_column_reaches_and_whether_that_is_live(shop, mlops):
    """Down to the endpoint, with the version's digest."""
    said = mlops("lineage", "orders.returned", "--down")

    release = shop.home.releases.current(MODEL)
    assert said.code == 0
    assert f"{MODEL}@1: live, bundle_sha256 {release.bundle_sha256[:12]}" in said.out
    assert f"{MODEL}/endpoint: version 1, generation 1" in said.out
    assert "comes from" not in said.out


def test_lineage_as_data_holds_nodes_and_the_edges_between_them(shop, mlops):
    """For programs: whole digests, and how each step was made."""
    said = json.loads(mlops("lineage", f"{MODEL}.return_rate_7d", "--up", "--json").out)

    assert said["of"]["name"] == f"{MODEL}.return_rate_7d"
    assert {"name": "source/orders", "kind": "source"}.items() <= said["up"][0].items()
    assert {"from": "raw/orders.returned", "to": "validated/orders.returned", "by": "value"} in said["edges"]
    assert "down" not in said


def test_lineage_of_an_unknown_column_names_the_nearest(mlops):
    """In words."""
    said = mlops("lineage", "orders.brnch")

    assert said.code == 1
    assert "column of raw/orders 'brnch' is not known. Did you mean 'branch'?" in said.err


def test_a_report_is_written_where_one_asks_for_it(shop, mlops, tmp_path):
    """The headline is printed; the page is the one the evaluation wrote."""
    release = shop.home.releases.current(MODEL)
    page = shop.home.report_path(MODEL, release.bundle_sha256)
    before = page.read_bytes()

    said = mlops("report", f"{MODEL}@1", "--out", str(tmp_path / "copy.html"))

    assert said.code == 0
    assert said.out.startswith("Version 1 may go live: ")
    assert (tmp_path / "copy.html").read_bytes() == page.read_bytes() == before


def test_a_place_where_no_report_can_be_written_is_named(mlops, tmp_path):
    """In words, with where the page is all the same."""
    said = mlops("report", f"{MODEL}@1", "--out", str(tmp_path / "missing" / "copy.html"))

    assert said.code == 1
    assert "missing/copy.html: No such file or directory. It is at " in said.err


def test_a_report_of_a_version_that_is_not_there_names_those_that_are(mlops):
    """And a version is a number."""
    unknown, unclear = mlops("report", f"{MODEL}@7"), mlops("report", f"{MODEL}@new")

    assert (unknown.code, unclear.code) == (1, 2)
    assert "'7' is not known. Known: 1." in unknown.err
    assert f"such as {MODEL}@3" in unclear.err
