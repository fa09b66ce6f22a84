"""Reading prediction requests: strict types, decided by the model's own request fields, and faults named to mend them.

A right request is decoded in one pass by msgspec. Only a wrong one is looked at again, to name every fault in it; the
values sent are never repeated in an answer or a log.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.errors import MlopsError
from mlops_assets.records import Field

FAULTS_SHOWN = 20
NAME_SHOWN = 100  # characters of an unknown field's name, which is the caller's text
ENVELOPE = ("request_id", "at", "instances")

Column = npt.NDArray[Any]
Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]  # beyond, two numbers are one float, and one key
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

_TYPES: dict[str, Any] = {"float64": float, "int64": Whole, "string": str, "timestamp": Moment}
_WORDS = {
    "float64": "number",
    "int64": "integer within 2**53",
    "string": "string",
    "timestamp": "RFC 3339 time with UTC offset",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DECISIONS_FROM, _DECISIONS_UNTIL = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class RequestError(MlopsError, ValueError):
    """A request that cannot be answered as it was sent; `status` is the HTTP status and the facts go to the caller."""

    def __init__(self, status: int, code: str, message: str, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Asked:
    """A decoded request: one column per request field, of length n, in the memory form features work on."""

    request_id: str | None
    at: datetime | None
    columns: dict[str, Column]
    rows: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request. `instance` is None for what stands beside the instances."""

    field: str
    instance: int | None
    problem: str
    expected: str


class RequestDecoder:
    """Decodes the requests of one model; built once per model version."""

    def __init__(self, model: str, fields: Sequence[Field], *, max_instances: int) -> None:
        self.model, self.fields, self.max_instances = model, tuple(fields), max_instances
        self._types = {field.name: _type(field) for field in fields}
        instance = msgspec.defstruct(
            "Instance", list(self._types.items()), kw_only=True, frozen=True, gc=False, forbid_unknown_fields=True
        )
        envelope = msgspec.defstruct(
            "PredictRequest",
            [
                ("request_id", Name | None, None),
                ("at", Moment | None, None),
                ("instances", Annotated[list[instance], msgspec.Meta(min_length=1)]),  # type: ignore[valid-type]
            ],
            kw_only=True,
            forbid_unknown_fields=True,
        )
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(envelope).decode
        self._columns = tuple((field.name, _COLUMN[field.dtype]) for field in fields)

    def decode(self, body: bytes) -> Asked:
        """Give what was asked.

        Raises:
            RequestError: 400, the body is no JSON; 413, too many instances; 422, a field is missing, unknown, null or
                of the wrong type, each one named with its instance and what is expected.
        """
        try:
            asked = self._decode(body)
        except msgspec.ValidationError:
            raise self._refusal(_json(body)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error) from None
        if len(asked.instances) > self.max_instances:
            raise self._too_many(len(asked.instances))
        if asked.at is not None and not _DECISIONS_FROM <= asked.at < _DECISIONS_UNTIL:
            raise self._refused([Fault("at", None, "out of range", "a time from 1900 to 2199")])
        columns = {
            name: column([getattr(instance, name) for instance in asked.instances]) for name, column in self._columns
        }
        return Asked(asked.request_id, asked.at, columns, len(asked.instances))

    def columns(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
        """Give the columns of rows that are plain JSON data already, such as the golden rows of a bundle.

        Raises:
            RequestError: As `decode` does.
        """
        return self.decode(msgspec.json.encode({"instances": rows})).columns

    def schema(self) -> list[dict[str, Any]]:
        """Describe the request fields for a reader of the endpoint's metadata."""
        return [
            {"name": f.name, "type": _WORDS[f.dtype], "nullable": f.nullable, "description": f.description}
            for f in self.fields
        ]

    def _refusal(self, sent: Any) -> RequestError:
        """Look again at JSON that is not a right request, and say everything that is wrong with it."""
        if not isinstance(sent, dict):
            return self._refused([Fault("", None, "is not an object", f"an object with {', '.join(ENVELOPE)}")])
        faults = [_unknown(name, ENVELOPE) for name in sent if name not in ENVELOPE]
        if not _is(sent.get("request_id"), Name | None):
            faults.append(Fault("request_id", None, "has the wrong type", "a string of 1 to 200 characters, or none"))
        if not _is(sent.get("at"), Moment | None):
            faults.append(Fault("at", None, "has the wrong type", f"{_WORDS['timestamp']}, or none"))
        instances = sent.get("instances")
        if not isinstance(instances, list) or not instances:
            problem = "is missing" if "instances" not in sent else "is not a list with something in it"
            return self._refused([*faults, Fault("instances", None, problem, "a list of at least one object")])
        if len(instances) > self.max_instances:
            return self._too_many(len(instances))
        return self._refused([*faults, *(f for i, one in enumerate(instances) for f in self._faults(i, one))])

    def _faults(self, index: int, instance: Any) -> Iterator[Fault]:
        if not isinstance(instance, dict):
            yield Fault("", index, "is not an object", "an object of named fields")
            return
        for field in self.fields:
            expected = _WORDS[field.dtype] + (" or null" if field.nullable else "")
            if field.name not in instance:
                yield Fault(field.name, index, "is missing", expected)
            elif instance[field.name] is None and not field.nullable:
                yield Fault(field.name, index, "is null", expected)
            elif not _is(instance[field.name], self._types[field.name]):
                yield Fault(field.name, index, "has the wrong type or is out of range", expected)
        for name in instance:
            if name not in self._types:
                yield _unknown(name, tuple(self._types), instance=index)

    def _refused(self, faults: Sequence[Fault]) -> RequestError:
        return RequestError(
            422,
            "request_does_not_fit",
            f"The request does not fit model {self.model!r}: {_sentence(faults[0])}"
            + (f", and {len(faults) - 1} more." if len(faults) > 1 else ".")
            + f" GET /models/{self.model} shows the fields and an example.",
            faults=faults[:FAULTS_SHOWN],
            fault_count=len(faults),
        )

    def _too_many(self, sent: int) -> RequestError:
        return RequestError(
            413,
            "too_many_instances",
            f"{sent} instances are more than the {self.max_instances} allowed in a request. Send several requests.",
        )


def micros(moment: datetime) -> int:
    """Give whole microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def _type(field: Field) -> Any:
    return _TYPES[field.dtype] | None if field.nullable else _TYPES[field.dtype]


def _times(values: list[datetime | None]) -> Column:
    stamps = [np.iinfo(np.int64).min if value is None else micros(value) for value in values]
    return np.array(stamps, dtype=np.int64).view("datetime64[us]")


_COLUMN: dict[str, Callable[[list[Any]], Column]] = {
    "float64": lambda values: np.array(values, dtype=np.float64),  # None becomes NaN
    "int64": lambda values: np.array(values, dtype=np.float64),
    "string": lambda values: np.array(values, dtype=object),
    "timestamp": _times,
}


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from None


def _malformed(error: Exception) -> RequestError:
    where = str(error) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8 or nested too deeply"
    return RequestError(400, "malformed_json", f'The body is no JSON: {where}. Send {{"instances": [{{…}}]}}.')


def _is(value: Any, kind: Any) -> bool:
    """Tell whether JSON data is of a type, as strictly as the decoder."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _unknown(name: str, known: Sequence[str], *, instance: int | None = None) -> Fault:
    near = get_close_matches(name[:NAME_SHOWN], known, n=1)
    return Fault(name[:NAME_SHOWN], instance, "is not known", f"did you mean {near[0]!r}?" if near else "no such field")


def _sentence(fault: Fault) -> str:
    where = "" if fault.instance is None else f"instances[{fault.instance}]"
    name = f"{where}.{fault.field}" if where and fault.field else where or fault.field or "the body"
    return f"{name} {fault.problem} (expected: {fault.expected})"
