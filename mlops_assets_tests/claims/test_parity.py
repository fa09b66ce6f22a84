"""Claim: the endpoint sees what training would have seen, bit for bit.

More than ten thousand flights are asked about as they would have been, day by day with the feature rows known by then;
then every vector in the prediction log is computed again from the stored tables. Requests of every awkward kind are
among them: keys nobody has seen, a null key, decisions at the very edge of what is known and of what still holds.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from starlette.testclient import TestClient

from mlops_assets.features import FeatureModule
from mlops_assets.orchestration.steps import (
    build_training_set,
    check_parity,
    fit_model,
    seal_predictions,
    sealed_predictions,
)
from mlops_assets.records import FeatureView, Span
from mlops_assets.serving.app import Endpoint
from mlops_assets.serving.live import LiveModels
from mlops_assets.serving.settings import ServingSettings
from mlops_assets.stores.home import Home
from mlops_assets.stores.releases import Release
from mlops_assets_tests.claims.conftest import ALL_IN, DAYS, with_short_training

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MODEL = "flight_delay"
LIVE = datetime(2013, 1, 16, 1, tzinfo=UTC)
DAY, LEAD, TICK = timedelta(days=1), timedelta(hours=2), timedelta(microseconds=1)
TTL = timedelta(days=3)  # of the views of delays
LAST_EVENT = datetime(2013, 1, 29, tzinfo=UTC)  # of the newest rows of the delays
DAILY_VIEWS = ("carrier_delays", "origin_delays", "dest_delays", "weather")


class NoTracking:
    """In place of MLflow, which takes seconds and has no part in this."""

    def log_training(self, *arguments, **facts):
        return None, None

    def log_trials(self, *arguments):
        pass


@pytest.fixture(scope="module")
def folder(january):
    return with_short_training(january.models[MODEL])


@pytest.fixture(scope="module")
def served(january, folder, tmp_path_factory):
    """A home beside January's, with its tables, a model trained on the first half and an endpoint over it."""
    home = Home(tmp_path_factory.mktemp("served"))
    home.root.joinpath("tables").symlink_to(january.home.root / "tables")
    home.root.joinpath("records").symlink_to(january.home.root / "records")
    vars(home)["tracking"] = NoTracking()
    training_set, leaks = build_training_set(folder, home, cut_off=LIVE)
    version = fit_model(folder, home, training_set, tags={}, requester="nobody")
    home.releases.put(
        Release(
            model=MODEL,
            version=version.version,
            bundle_sha256=version.sha256,
            previous_bundle_sha256=None,
            previous_version=None,
            generation=1,
            at=LIVE,
        )
    )
    assert not leaks
    views = {name: home.records.get(("views",), name, FeatureView) for name in (*DAILY_VIEWS, "aircraft")}
    home.online.write(views["aircraft"], home.tables.read("features/aircraft"))
    for name in DAILY_VIEWS:
        home.online.write(views[name], home.tables.read(f"features/{name}", until=DAYS[14]))
    settings = ServingSettings(poll_s=3600.0)
    live = LiveModels(home.releases, home.bundles, home.online, settings=settings)
    app = Endpoint(live, home.predictions, clock=lambda: LIVE, settings=settings).app()
    with TestClient(app) as client:
        yield Served(home, client, views)


class Served:
    """The home, the endpoint over it, and what was asked of it."""

    def __init__(self, home, client, views):
        self.home, self.client, self.views = home, client, views

    def arrive(self, day):
        """Let a day's rows become known to the endpoint, as its feature assets would."""
        for name in DAILY_VIEWS:
            rows = self.home.tables.read(f"features/{name}", partitions=[day])
            self.home.online.write(self.views[name], rows)

    def ask(self, request_id, at, instances):
        body = {"request_id": request_id, "at": at.isoformat(), "instances": instances}
        answer = self.client.post(f"/models/{MODEL}/predict", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]


def flights(january, folder):
    """Give the flights decided on after LIVE, by the moment of decision, as requests."""
    rows = january.home.tables.read("validated/flights")
    fields = [field.name for field in FeatureModule.load(folder.features_source, name=MODEL).request]
    decided = pc.subtract(rows["scheduled_departure"], pa.scalar(LEAD, pa.duration("us")))
    wanted = pc.and_(pc.greater_equal(decided, pa.scalar(LIVE)), pc.less(decided, pa.scalar(ALL_IN - LEAD)))
    by_moment = defaultdict(list)
    for at, row in zip(decided.filter(wanted).to_pylist(), rows.select(fields).filter(wanted).to_pylist(), strict=True):
        by_moment[at].append(
            {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        )
    return dict(sorted(by_moment.items()))


def sealed(served, folder):
    """Seal what was logged, and give it."""
    span = Span(start=datetime(2013, 1, 14, tzinfo=UTC), end=datetime(2013, 2, 4, tzinfo=UTC))
    version, _, _ = seal_predictions(folder, served.home, span)
    return sealed_predictions(served.home, MODEL, version=version.version)


@pytest.fixture(scope="module")
def asked(january, served, folder):
    """Two weeks of flights asked about with what was known by then; give how many, and one of the requests."""
    known = set(DAYS[:15])
    count, example = 0, None
    for at, instances in flights(january, folder).items():
        for day in DAYS:
            if day not in known and datetime.fromisoformat(day).replace(tzinfo=UTC) + DAY + timedelta(hours=1) <= at:
                served.arrive(day)
                known.add(day)
        example = example or instances[0]
        served.ask(at.isoformat(), at, instances)
        count += len(instances)
    for day in set(DAYS) - known:
        served.arrive(day)
    return count, example


AWKWARD = {
    "a carrier nobody has seen": {"carrier": "ZZ"},
    "a destination nobody has seen": {"dest": "QQQ"},
    "an aircraft nobody has seen": {"tailnum": "N00000"},
    "no aircraft": {"tailnum": None},
    "nothing known of anything": {"carrier": "ZZ", "dest": "QQQ", "tailnum": None},
}
EDGES = {
    "as soon as the newest rows are known": LAST_EVENT + timedelta(hours=1),
    "a moment before": LAST_EVENT + timedelta(hours=1) - TICK,
    "as long as they hold": LAST_EVENT + TTL,
    "a moment longer": LAST_EVENT + TTL + TICK,
}


def test_more_than_ten_thousand_vectors_are_computed_again_bit_for_bit(asked, served, folder):
    """Every flight of twelve days."""
    count, _ = asked

    report = check_parity(folder, served.home, sealed(served, folder))

    assert count > 10_000
    assert report.n >= count
    assert report.first is None
    assert report.equal == report.n


@pytest.mark.parametrize("changes", AWKWARD.values(), ids=AWKWARD)
def test_awkward_requests_at_the_edges_are_no_exception(asked, served, folder, changes):
    """Whatever is missing or stale online is so offline, and the values are the same."""
    ids = [f"{changes} {name}" for name in EDGES]
    for request_id, at in zip(ids, EDGES.values(), strict=True):
        served.ask(request_id, at, [{**asked[1], **changes}])

    rows = sealed(served, folder)
    report = check_parity(folder, served.home, rows.filter(pc.is_in(rows["request_id"], pa.array(ids))))

    assert report.n == len(EDGES)
    assert report.identical, report.first


def test_the_edges_are_where_they_should_be(asked, served, folder):
    """The requests above do differ: rows not known yet, just known, just holding and stale."""
    statuses, times = {}, {}
    for name, at in EDGES.items():
        served.ask(f"edge-{name}", at, [asked[1]])
    rows = sealed(served, folder)
    for name in EDGES:
        (stored,) = rows.filter(pc.equal(rows["request_id"], f"edge-{name}"))["stored"].to_pylist()
        view = msgspec.json.decode(stored)["carrier_delays"]
        statuses[name], times[name] = view["status"], datetime.fromisoformat(view["event_time"])

    assert list(statuses.values()) == ["ok", "ok", "ok", "stale"]
    assert [times[name] for name in EDGES] == [LAST_EVENT, LAST_EVENT - DAY, LAST_EVENT, LAST_EVENT]


def test_one_wrong_bit_is_found_and_named(asked, served, folder):
    """So that the claim could fail: a served value moved by the least there is."""
    rows = sealed(served, folder).slice(0, 50)
    vectors = [list(vector) for vector in rows["vector"].to_pylist()]
    place = next(n for n, value in enumerate(vectors[7]) if np.isfinite(value))
    vectors[7][place] = float(np.nextafter(vectors[7][place], np.inf))
    column = rows.column_names.index("vector")
    moved = rows.set_column(column, "vector", pa.array(vectors, rows.schema.field("vector").type))

    report = check_parity(folder, served.home, moved)

    assert (report.n, report.equal) == (50, 49)
    assert report.first.key == rows["request_id"][7].as_py()
