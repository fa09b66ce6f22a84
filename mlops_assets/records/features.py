"""Stored features and the vector a model reads."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A typed name: a request field, a key or a stored feature.

    `dtype` is one of `float64`, `int64`, `string`, `timestamp`. Only `float64` and `string` may be null.
    """

    name: str
    dtype: Literal["float64", "int64", "string", "timestamp"]
    nullable: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureView:
    """Stored features of one entity: the keys that find a row, how long it is good for, when it is known.

    A row answers a decision at time t when `known_at <= t` and `t - ttl_s <= event_time <= t`, both ends included.
    Where none does, a feature is null, or what `defaults` says.
    """

    name: str
    keys: tuple[Field, ...]
    features: tuple[Field, ...]
    ttl_s: float
    defaults: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewComputation:
    """What the rows of a view are computed by, as it was declared: exactly one of `sql` and `python` says how.

    It is kept in full, so that a day computed by another one can be told from a day computed by the same, written
    otherwise. What only decides who finds a row (`ttl`, defaults) is no part of it.
    """

    view: str
    keys: dict[str, str]
    features: dict[str, str]
    tables: dict[str, str]
    event_time: str
    lookback_days: int
    available_after_s: float
    sql: str | None = None
    python: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFeature:
    """One slot of the feature vector. `levels` is None for a number, else the category levels in code order."""

    name: str
    origin: Literal["request", "stored", "on_demand"]
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureVectorSpec:
    """Everything that fixes a model's input vector: names, order, types, levels, views and the code's digest."""

    request: tuple[Field, ...]
    views: tuple[FeatureView, ...]
    features: tuple[VectorFeature, ...]
    code_sha256: str
