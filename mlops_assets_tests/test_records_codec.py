"""Every record survives its way through JSON, digest and all."""

import dataclasses
import inspect
import types
import typing
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from mlops_assets import records
from mlops_assets.digests import sha256_json

RECORDS = [kind for _, kind in inspect.getmembers(records, inspect.isclass) if dataclasses.is_dataclass(kind)]
AT = datetime(2013, 4, 1, 12, 30, 0, 123456, tzinfo=UTC)


def example(hint: Any, *, full: bool) -> Any:
    """Give a value of the type `hint`: optionals filled and collections of two, or all as bare as can be."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is records.Span:
        return records.Span(AT, AT + timedelta(days=1))  # the one record whose fields must agree
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{field.name: example(hints[field.name], full=full) for field in dataclasses.fields(hint)})
    if origin in (typing.Union, types.UnionType):
        if type(None) in arguments and not full:
            return None
        return example(arguments[0], full=full)
    if origin is typing.Literal:
        return arguments[-1]
    if origin is tuple and arguments[-1] is not ...:
        return tuple(example(argument, full=full) for argument in arguments)
    if origin is tuple:
        return (example(arguments[0], full=full),) * 2 if full else ()
    if origin is dict:
        keys = (1, 2) if arguments[0] is int else ("a", "b")
        return {key: example(arguments[1], full=full) for key in keys} if full else {}
    return {str: "é \"'/", int: 2**40, float: 0.1 + 0.2, bool: True, datetime: AT, Any: {"a": [None, 1.5]}}[hint]


def test_all_records_are_found():
    """The list the other tests run over is not empty, and knows the best known of them."""
    assert {records.TableVersion, records.ModelVersion, records.EvaluationReport, records.Endpoint} <= set(RECORDS)


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_comes_back_equal_and_with_the_same_digest(kind, full):
    """Encode, decode: nothing is lost, times keep their zone and microseconds, and the digest holds."""
    record = example(kind, full=full)

    again = msgspec.json.decode(msgspec.json.encode(record), type=kind)

    assert again == record
    assert sha256_json(again) == sha256_json(record)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_cannot_be_changed(kind):
    """Records are frozen and have no room for more."""
    record = example(kind, full=True)

    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        setattr(record, dataclasses.fields(kind)[0].name, "other")
    assert not hasattr(record, "__dict__")


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_a_record_of_the_wrong_shape_is_refused(kind):
    """A field of the wrong type is an error where it is read, not later."""
    fields = msgspec.to_builtins(example(kind, full=True))
    fields[next(iter(fields))] = [0, "1.5"]

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, type=kind)
