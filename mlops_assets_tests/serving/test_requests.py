"""Reading requests: what is right is decoded, what is wrong is named, and no value is repeated."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from mlops_assets.records import Field
from mlops_assets.serving.requests import RequestDecoder, RequestError

FIELDS = (
    Field(name="carrier", dtype="string"),
    Field(name="origin", dtype="string", nullable=True),
    Field(name="distance", dtype="float64"),
    Field(name="temp", dtype="float64", nullable=True),
    Field(name="seats", dtype="int64"),
    Field(name="departure", dtype="timestamp"),
)
GOOD = {
    "carrier": "UA",
    "origin": None,
    "distance": 1400,
    "temp": None,
    "seats": 149,
    "departure": "2013-05-01T10:15:00-04:00",
}


@pytest.fixture(scope="module")
def decoder() -> RequestDecoder:
    return RequestDecoder("late", FIELDS, max_instances=3)


def body(*instances: object, **envelope: object) -> bytes:
    return json.dumps({**envelope, "instances": list(instances)}).encode()


def test_columns_have_the_memory_form_of_their_type(decoder):
    """Numbers are float64 with NaN for null, strings objects, times UTC microseconds."""
    asked = decoder.decode(body(GOOD, {**GOOD, "temp": 3, "origin": "EWR"}, at="2013-05-01T08:15:00-04:00"))

    assert asked.rows == 2
    assert asked.at == datetime(2013, 5, 1, 12, 15, tzinfo=UTC)
    assert asked.columns["origin"].tolist() == [None, "EWR"]
    np.testing.assert_array_equal(asked.columns["temp"], [np.nan, 3.0])
    assert [asked.columns[name].dtype for name in ("distance", "seats")] == [np.float64, np.float64]
    assert asked.columns["departure"].tolist() == [datetime(2013, 5, 1, 14, 15)] * 2  # noqa: DTZ001


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize(
    ("instance", "field", "problem", "expected"),
    [
        (without("carrier"), "carrier", "missing", "string"),
        (without("temp"), "temp", "missing", "number or null"),
        ({**GOOD, "carier": "UA"}, "carier", "not known", "did you mean 'carrier'?"),
        ({**GOOD, "distance": None}, "distance", "null", "number"),
        ({**GOOD, "distance": "4217"}, "distance", "wrong type", "number"),
        ({**GOOD, "distance": True}, "distance", "wrong type", "number"),
        ({**GOOD, "seats": 4217.5}, "seats", "wrong type", "integer within 2**53"),
        ({**GOOD, "seats": 2**53 + 1}, "seats", "out of range", "integer within 2**53"),
        ({**GOOD, "carrier": 4217}, "carrier", "wrong type", "string"),
        ({**GOOD, "origin": ["4217"]}, "origin", "wrong type", "string or null"),
        ({**GOOD, "departure": "2013-05-01T10:15:00"}, "departure", "wrong type", "RFC 3339 time with UTC offset"),
        ({**GOOD, "departure": "4217"}, "departure", "wrong type", "RFC 3339 time with UTC offset"),
        ([4217], "", "not an object", "an object of named fields"),
    ],
)
def test_a_wrong_field_is_named_with_its_instance_and_type(decoder, instance, field, problem, expected):
    """The caller learns which field of which instance to mend, and the answer repeats no value."""
    with pytest.raises(RequestError) as refused:
        decoder.decode(body(GOOD, instance))

    (fault,) = refused.value.facts["faults"]
    assert refused.value.status == 422
    assert (fault.field, fault.instance, fault.expected) == (field, 1, expected)
    assert problem in fault.problem
    assert "instances[1]" in str(refused.value)
    assert "4217" not in f"{refused.value} {fault}"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (body(GOOD, request_id=4217), "request_id"),
        (body(GOOD, request_id=""), "request_id"),
        (body(GOOD, at="yesterday"), "at"),
        (body(GOOD, at="2013-05-01T10:15:00"), "at"),
        (body(GOOD, at="0001-01-01T00:00:00+20:00"), "at"),
        (body(GOOD, params={}), "params"),
        (body(), "instances"),
        (b"{}", "instances"),
        (b'{"instances": {}}', "instances"),
        (b"[]", ""),
        (b"null", ""),
    ],
)
def test_a_wrong_envelope_is_named(decoder, text, field):
    """What stands beside the instances is as strict as they are."""
    with pytest.raises(RequestError) as refused:
        decoder.decode(text)

    assert refused.value.status == 422
    assert [fault.field for fault in refused.value.facts["faults"]] == [field]


def test_all_faults_are_told_at_once(decoder):
    """A caller mends everything in one go."""
    with pytest.raises(RequestError) as refused:
        decoder.decode(body({"carrier": 1}, {**GOOD, "seats": "x"}))

    names = [(fault.instance, fault.field) for fault in refused.value.facts["faults"]]
    assert names == [(0, name) for name in ("carrier", "origin", "distance", "temp", "seats", "departure")] + [
        (1, "seats")
    ]
    assert refused.value.fault_count == 7


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"instances": [NaN]}', b"\xff\xfe", b'{"a": "\xff"}', b"[" * 100_000], ids=range(6)
)
def test_what_is_no_json_is_a_400(decoder, text):
    """Text that is no JSON cannot be told field by field."""
    with pytest.raises(RequestError) as refused:
        decoder.decode(text)

    assert (refused.value.status, refused.value.code) == (400, "malformed_json")


@pytest.mark.parametrize("instances", [[GOOD] * 4, [{}] * 4], ids=["right", "wrong"])
def test_too_many_instances_are_a_413(decoder, instances):
    """The limit holds whatever the instances look like."""
    with pytest.raises(RequestError) as refused:
        decoder.decode(body(*instances))

    assert refused.value.status == 413


def test_a_number_too_large_for_a_double_is_refused(decoder):
    """Infinity is no value a model was trained on."""
    with pytest.raises(RequestError) as refused:
        decoder.decode(body(GOOD).replace(b"1400", b"1e999"))

    assert refused.value.status in (400, 422)
