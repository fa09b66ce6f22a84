"""A version fitted again from its record: what is compared, what is told, what goes on record, and what never does."""

from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlops_assets.errors import UnknownNameError
from mlops_assets.governance import Event
from mlops_assets.orchestration.reproduction import reproduce_schedule
from mlops_assets.orchestration.resources import HomeResource
from mlops_assets.orchestration.steps import reproduce
from mlops_assets.orchestration.steps.archive.row_differences import first_difference
from mlops_assets.records import ModelVersion, Reproduction
from mlops_assets_tests._shop import (
    LIVE,
    MODEL,
    Shop,
    changed,
    days,
    grown,
    no_settings,
    orders,
    shop,
    shop_project,
)

__all__ = ["grown", "no_settings", "shop", "shop_project"]

NEXT = LIVE + timedelta(days=1)


def again(shop: Shop, **options):
    return reproduce(shop.folder.path, shop.home, at=NEXT, by="ada", **({"threads": [1]} | options))


def recorded(shop: Shop) -> ModelVersion:
    """The newest version."""
    sha256 = shop.home.state.versions(MODEL)[-1].bundle_sha256
    return shop.home.records.get(("versions", MODEL), sha256, ModelVersion)


def on_record(shop: Shop, **facts: str) -> None:
    """Change what is on record of the newest version."""
    version = recorded(shop)
    facts = {name.replace("__", "."): fact for name, fact in facts.items()}
    shop.home.records.put(
        ("versions", MODEL), version.sha256, replace(version, reproducibility=version.reproducibility | facts)
    )


def test_a_version_is_made_again_to_the_last_byte(shop):
    """The live one unless told, with nothing to tell of it."""
    outcome = again(shop)

    assert outcome.equal
    assert outcome.level == "equal here"
    assert outcome.fits == {1: recorded(shop).sha256}
    assert (outcome.causes, outcome.notes, outcome.parts, outcome.missing) == ((), (), (), ())


def test_what_is_written_in_the_folder_today_does_not_matter(shop, tmp_path):
    """Parameters, label and features come from the record; the folder may be gone."""
    nowhere = replace(shop.folder, path=tmp_path / "moved" / MODEL)

    assert reproduce(nowhere.path, shop.home, threads=[1], at=NEXT, by="ada").equal


def test_a_machine_like_no_other_shows_in_the_level(shop):
    """Equal on several numbers of threads, and where the record names another processor, on another machine too."""
    here = again(shop, threads=[1, 2])
    on_record(shop, cpu="a Pentium")
    elsewhere = again(shop, threads=[1, 2])

    assert here.level == "equal across threads"
    assert elsewhere.level == "equal across threads and machines"
    assert any(line.startswith("cpu: a Pentium on record") for line in elsewhere.elsewhere)


@pytest.mark.parametrize("fact", ["seed", "levels_sha256", "train_rows_sha256", "params_sha256", "trainer"])
def test_a_fact_on_record_that_is_not_true_is_told(shop, fact):
    """Though the bundle comes out again: whoever reads the record would believe it."""
    on_record(shop, **{fact: "8"})

    outcome = again(shop)

    assert outcome.equal
    assert [note.split(", and ")[0] for note in outcome.notes] == [f"The record was changed: {fact} is 8 there"]


def test_the_outcome_is_in_the_audit_log_and_on_the_page_of_the_run(shop):
    """Each time, with who asked; and nothing else has changed."""
    before = (shop.home.state.versions(), shop.home.releases.current(MODEL), shop.home.bundles.list(MODEL))

    again(shop)

    entry = shop.home.state.audit_entries(model=MODEL)[-1]
    run = shop.home.tracking._client().get_run(recorded(shop).mlflow_run_id)
    assert (entry.event, entry.actor, entry.data["level"]) == (Event.REPRODUCED, "ada", "equal here")
    assert entry.subject["version"] == 1
    assert run.data.metrics["reproduced"] == 1.0
    assert before == (shop.home.state.versions(), shop.home.releases.current(MODEL), shop.home.bundles.list(MODEL))


def test_a_version_from_before_recipes_were_kept_says_what_it_lacks(shop):
    """It is not tried with today's folder: that would prove nothing."""
    version = recorded(shop)
    facts = {name: fact for name, fact in version.reproducibility.items() if not name.startswith("recipe")}
    shop.home.records.put(("versions", MODEL), version.sha256, replace(version, reproducibility=facts))

    outcome = again(shop)

    assert (outcome.level, outcome.missing, outcome.fits) == ("not on record", ("recipe_sha256",), {})
    assert "lacks recipe_sha256" in outcome.causes[0]
    assert shop.home.state.audit_entries(model=MODEL)[-1].event == Event.NOT_REPRODUCED


def test_an_unknown_version_gets_the_nearest(shop):
    """As everywhere."""
    with pytest.raises(UnknownNameError, match=f"Did you mean '{MODEL}@1'"):
        again(shop, number=11)


AT_ONCE = timedelta(0)


def forget(shop: Shop, *tables: str) -> None:
    """Let retention delete old versions of tables, as if nothing protected them."""
    for table in tables:
        shop.home.tables.keep_only(table, [], grace=AT_ONCE)


def another_day(shop: Shop) -> None:
    """Correct a day of the history, so that the versions trained on are old ones."""
    day = days(LIVE.date() - timedelta(days=10), 1)[0]
    shop.land(day, changed(orders(day), "amount", {0: 1.0}))
    assert not shop.bring_in(day)


def test_of_a_table_that_is_gone_the_kept_training_set_stands_in(shop):
    """It says which is gone, and which is kept."""
    another_day(shop)
    forget(shop, "validated/orders")

    outcome = again(shop)

    assert outcome.equal
    assert "validated/orders version" in outcome.notes[0]
    assert f"kept is {MODEL}/training_set version" in outcome.notes[0]


def test_without_table_and_training_set_nothing_can_be_made_and_that_is_said(shop):
    """What is gone, what is kept, and what would have kept it."""
    another_day(shop)
    assert shop.materialize(f"{MODEL}/training_set", at=NEXT).success
    forget(shop, "validated/orders", f"{MODEL}/training_set")

    outcome = again(shop)

    assert (outcome.level, outcome.fits) == ("recorded", {})
    assert "The rows are gone" in outcome.causes[0]
    assert "Kept is features/branch_returns version" in outcome.causes[0]


ROWS = pa.table({"id": ["a", "b", "c"], "temp": [1.0, None, 3.0], "label": [0.0, 1.0, 0.0]})


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (changed(ROWS, "temp", {1: 2.0}), "features/weather, temp of id 'b' is None on record, 2.0 now."),
        (changed(ROWS, "label", {0: 1.0, 2: 1.0}), "validated/flights, label of id 'a' is 0.0 on record, 1.0 now, and"),
        (ROWS.take([1, 0, 2]), "stand in another order, from row 0 on"),
        (ROWS.slice(1), "1 are gone (a)"),
        (pa.concat_tables([ROWS, changed(ROWS.slice(0, 1), "id", {0: "d"})]), "1 are new (d)"),
        (ROWS.select(["temp", "id", "label"]), "another order"),
        (ROWS.drop_columns(["temp"]), "temp in one only"),
        (ROWS.set_column(2, "label", pc.cast(ROWS["label"], pa.float32())), "label is of type double on record, float"),
    ],
)
def test_the_first_difference_of_rows_is_told(now, words):
    """Which table, which row, which column, from what to what."""
    said = first_difference(ROWS, now, key="id", tables={"temp": "features/weather"}, otherwise="validated/flights")

    assert words in said


# --- once a week ----------------------------------------------------------------------------------


def test_the_asset_makes_what_is_live_again_and_says_so(shop):
    """As a check that blocks nothing, with the level among its metadata."""
    result = shop.materialize(f"{MODEL}/reproduction", at=NEXT)

    check = shop.checks(result)["equal"]
    kept = shop.home.records.get((MODEL, "reproduction"), None, Reproduction)
    assert result.success
    assert check.passed
    assert check.description == "version 1: equal here"
    assert kept.fits == {1: recorded(shop).sha256}
    assert kept.at == NEXT


def test_a_version_that_does_not_come_out_again_fails_the_check_and_not_the_run(shop):
    """Whoever is called sees the reason; what is live stays."""
    on_record(shop, part__spec__json="0" * 64)

    result = shop.materialize(f"{MODEL}/reproduction", at=NEXT)

    assert result.success
    assert not shop.checks(result)["equal"].passed
    assert "The record was changed" in shop.checks(result)["equal"].description


def tick(shop: Shop, at=NEXT):
    """Ask the schedule what it would run."""
    repository = shop.definitions.get_repository_def()
    schedule = repository.get_schedule_def("reproduce")
    home = HomeResource(path=str(shop.home.root))
    context = dg.build_schedule_context(scheduled_execution_time=at, resources={"home": home}, instance=shop.instance)
    return schedule, schedule.evaluate_tick(context)


def test_once_a_week_what_is_live_is_asked_for(shop):
    """One run for each model, the same one if the tick is repeated."""
    schedule, first = tick(shop)
    _, again = tick(shop)

    assert schedule.cron_schedule == "41 4 * * 1"
    assert [request.asset_selection for request in first.run_requests] == [[dg.AssetKey([MODEL, "reproduction"])]]
    assert first.run_requests[0].run_key == again.run_requests[0].run_key


def test_a_model_that_is_not_to_be_reproduced_is_left_alone(shop):
    """As declared; and so is one that is not live."""
    training = shop.folder.declaration.training.model_copy(update={"reproduce": "never"})
    never = replace(shop.folder, declaration=shop.folder.declaration.model_copy(update={"training": training}))
    schedule = reproduce_schedule({MODEL: never}, job_name="reproduce")
    home = HomeResource(path=str(shop.home.root))

    asked = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=NEXT, resources={"home": home}))

    assert not asked.run_requests
    assert "no model is live" in asked.skip_message
