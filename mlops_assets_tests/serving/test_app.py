"""The endpoint's answers, in process."""

from datetime import timedelta

import numpy as np
import pytest

from mlops_assets.errors import StoreError
from mlops_assets.stores.predictions import PredictionLogWriter, days, decode_prediction, read_predictions
from mlops_assets_tests._endpoint import CARRIER_DELAYS, INSTANCE, MODEL, NOON, table


@pytest.fixture
def endpoint(home, serve, trained):
    home.release(home.save(trained.parts))
    return serve()


def logged(home, model=MODEL):
    return [
        decode_prediction(record)
        for day in days(home.predictions, model)
        for record in read_predictions(home.predictions, model, day)
    ]


def test_the_score_is_the_boosters_own_on_the_features_as_known(endpoint, trained):
    """Request, stored and computed features make the vector that training would have made."""
    inputs = {
        "carrier": np.array(["UA"], object),
        "distance": np.array([1400.0]),
        "seats": np.array([149.0]),
        "temp": np.array([21.5]),
        "mean_delay": np.array([21.0]),
        "wind": np.array([10.0]),
    }

    answer = endpoint.predict(INSTANCE)

    assert answer.status_code == 200
    (score,) = trained.predict(trained.vectorizer.vector(inputs)).tolist()
    (prediction,) = answer.json()["predictions"]
    assert (prediction["score"], prediction["decision"]) == (score, score >= 0.5)


def test_rows_of_a_batch_score_as_they_do_alone(endpoint):
    """A hundred rows, computed in a thread, give what a hundred requests give."""
    instances = [{**INSTANCE, "distance": 100.0 + 30 * i, "carrier": "AB"[i % 2] + "A6"[i % 2]} for i in range(100)]

    batch = [prediction["score"] for prediction in endpoint.predict(*instances).json()["predictions"]]

    alone = [endpoint.predict(instance).json()["predictions"][0]["score"] for instance in instances]
    assert batch == alone
    assert len(set(batch)) > 10


def test_a_prediction_is_logged_with_everything_it_was_made_of(endpoint, home):
    """The log holds the request, what the store answered and when, the vector, the score and whose it is."""
    answer = endpoint.predict({**INSTANCE, "origin": "LGA"}, request_id="flight-1").json()

    (record,) = logged(home)
    assert answer["durable"] is True
    assert record.request_id == answer["predictions"][0]["request_id"] == "flight-1"
    assert (record.at, record.received_at) == (NOON, NOON)
    assert record.request["carrier"] == "UA"
    assert (record.score, record.decision) == (answer["predictions"][0]["score"], answer["predictions"][0]["decision"])
    assert (record.version, record.bundle_sha256, record.generation) == (1, answer["bundle_sha256"], 1)
    assert record.stored["carrier_delays"].values == {"mean_delay": 21.0}
    assert record.stored["carrier_delays"].event_time == NOON - timedelta(hours=1)
    assert (record.stored["weather"].status, record.stored["weather"].event_time) == ("missing", None)
    assert len(record.vector) == 8
    assert np.isnan(record.vector[5])


def test_predictions_lie_under_the_day_of_the_decision(endpoint, home):
    """The event day in UTC decides, however the time is written."""
    endpoint.predict(INSTANCE, at="2013-05-01T23:30:00-04:00")

    assert days(home.predictions, MODEL) == ("2013-05-02",)


def test_without_a_time_the_decision_is_taken_now(endpoint, home):
    """The clock of the server stands in for `at`."""
    endpoint.client.post(f"/models/{MODEL}/predict", json={"instances": [INSTANCE]})

    assert logged(home)[0].at == NOON


def test_each_prediction_of_a_batch_has_its_own_id(endpoint, home):
    """Labels find their prediction: a caller's id is numbered, a made one sorts by time."""
    named = endpoint.predict(INSTANCE, INSTANCE, request_id="b").json()["predictions"]
    made = [endpoint.predict(INSTANCE).json()["predictions"][0]["request_id"] for _ in range(20)]

    assert [prediction["request_id"] for prediction in named] == ["b/0", "b/1"]
    assert len(set(made)) == 20
    assert {identity[14] for identity in made} == {"7"}
    assert {identity[19] for identity in made} <= set("89ab")
    assert [record.request_id for record in logged(home)] == ["b/0", "b/1", *made]


def test_stored_features_are_those_known_at_the_time_of_the_decision(endpoint, home):
    """A row that becomes known after `at` changes nothing."""
    before = endpoint.predict(INSTANCE).json()["predictions"][0]["score"]
    home.online.write(
        CARRIER_DELAYS, table(CARRIER_DELAYS, [NOON + timedelta(hours=1)], carrier=["UA"], mean_delay=[-20.0])
    )

    same = endpoint.predict(INSTANCE).json()["predictions"][0]["score"]
    later = endpoint.predict(INSTANCE, at=(NOON + timedelta(hours=1)).isoformat()).json()["predictions"][0]["score"]

    assert same == before
    assert later != before


def test_an_unknown_model_is_a_404_that_names_the_known(endpoint):
    """A typo is told with the nearest name."""
    answer = endpoint.predict(INSTANCE, model="lato")

    assert answer.status_code == 404
    assert "Did you mean 'late'?" in answer.json()["error"]["message"]


def test_a_wrong_request_is_a_422_that_names_the_fault(endpoint, home):
    """The body of the answer is data, and nothing is logged."""
    answer = endpoint.predict({**INSTANCE, "distance": "far away"})

    error = answer.json()["error"]
    assert answer.status_code == 422
    assert error["faults"][0] == {
        "field": "distance",
        "instance": 0,
        "problem": "has the wrong type or is out of range",
        "expected": "number",
    }
    assert "far away" not in answer.text
    assert logged(home) == []


def test_malformed_json_is_a_400(endpoint):
    """No JSON, no fields to name."""
    assert endpoint.client.post(f"/models/{MODEL}/predict", content=b"{oops").status_code == 400


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "without a length"])
def test_a_body_too_large_is_a_413(home, serve, trained, chunked):
    """The limit holds whether or not the length is told in advance."""
    home.release(home.save(trained.parts))
    endpoint = serve(max_body_bytes=1000)
    content = iter([b"x" * 600] * 2) if chunked else b"x" * 1200

    answer = endpoint.client.post(f"/models/{MODEL}/predict", content=content)

    assert answer.status_code == 413


def test_a_fault_of_the_model_is_a_500_with_an_opaque_id(endpoint, caplog, monkeypatch):
    """The caller learns an id, the log has the traceback under it."""

    def broken(*_):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(endpoint.live.models[MODEL]._vectorizer, "vector", broken)

    answer = endpoint.predict(INSTANCE)

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["error"]["incident"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def full_disk(monkeypatch):
    def append(self, day, *records):
        raise StoreError("No space left on device")

    monkeypatch.setattr(PredictionLogWriter, "append", append)


def test_a_prediction_that_cannot_be_logged_is_refused(endpoint, full_disk):
    """In strict mode what is not logged did not happen."""
    answer = endpoint.predict(INSTANCE)

    assert answer.status_code == 503
    assert "predictions" not in answer.json()


def test_best_effort_answers_without_a_log_and_says_so(home, serve, trained, full_disk):
    """Who set the mode reads in every answer whether it is durable."""
    home.release(home.save(trained.parts))

    answer = serve(log_mode="best_effort").predict(INSTANCE)

    assert answer.status_code == 200
    assert answer.json()["durable"] is False


def test_smoke_tests_are_logged_apart(endpoint, home):
    """Predictions of a deployment's own test never reach monitoring."""
    request = {"at": NOON.isoformat(), "instances": [INSTANCE]}

    answer = endpoint.client.post(f"/models/{MODEL}/predict", json=request, headers={"x-smoke-test": "1"})

    assert answer.status_code == 200
    assert logged(home) == []
    assert len(logged(home, f"{MODEL}.smoke")) == 1


def test_the_metadata_says_what_is_live_and_how_to_ask_it(endpoint):
    """The example of the metadata is a request that works."""
    told = endpoint.client.get(f"/models/{MODEL}").json()

    answer = endpoint.client.post(f"/models/{MODEL}/predict", json=told["example"])

    assert (told["version"], told["generation"], told["serving"], told["failure"]) == (1, 1, True, None)
    assert [field["name"] for field in told["request"]][:2] == ["carrier", "origin"]
    assert answer.status_code == 200
    assert endpoint.client.get("/models").json()["models"] == [told]


def test_golden_rows_are_scored_by_the_live_process(endpoint, trained):
    """Parity can be asked for at any time."""
    told = endpoint.client.get(f"/models/{MODEL}/golden").json()

    assert told["equal"] is True
    assert told["scores"] == told["expected"]
    assert len(told["scores"]) == 5


def test_an_endpoint_without_releases_is_ready_and_empty(serve):
    """The stack starts before the first model exists."""
    endpoint = serve()

    assert endpoint.client.get("/health/live").status_code == 200
    assert endpoint.client.get("/health/ready").json() == {"status": "ready", "models": {}}
    assert endpoint.client.get("/models").json() == {"models": []}


def test_a_way_that_leads_nowhere_is_told_in_json(endpoint):
    """Also 404 and 405 of the server have the one form of errors."""
    assert endpoint.client.get("/nowhere").json()["error"]["code"] == "http"
    assert endpoint.client.get(f"/models/{MODEL}/predict").status_code == 405
