"""From names to calls: which request fields, stored features and functions a model's vector is made of.

A name is a request field, a function of the module, or a stored feature of one of the model's views, and exactly one
of these; the keys of the views are resolved like any other name, but from the request alone.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mlops_assets.errors import FeatureError
from mlops_assets.features.module import Array, FeatureFunction, FeatureModule, nearest
from mlops_assets.features.program import Call, Program, as_column
from mlops_assets.records import FeatureView, Field

Origin = Literal["request", "stored", "on_demand"]


class FeaturePlan:
    """A features module over its views, with every name resolved and both orders of calls settled.

    `views` are those whose features are asked for, in the order given; the others need no look-up. `inputs` are the
    request fields and stored features that the vector is computed from.

    Raises:
        FeatureError: A name means nothing or two things, functions go round in a circle, or a key cannot be told from
            the request.
    """

    def __init__(self, module: FeatureModule, views: Sequence[FeatureView]) -> None:
        self.module = module
        self._request = {field.name: field for field in module.request}
        self._stored: dict[str, tuple[Field, FeatureView]] = {}
        for view in views:
            self._claim(view)
        for function in module.functions.values():  # those that FEATURES does not reach too: no typo sleeps
            for argument in function.arguments:
                self.origin(argument, asked_by=f"{function.name}()")
        self._vector = self._compile(module.features, asked_by="FEATURES")
        self.inputs = self._vector.inputs
        asked = {self._stored[field.name][1].name for field in self.inputs if field.name in self._stored}
        self.views = tuple(view for view in views if view.name in asked)
        self._key_fields: dict[str, Field] = {}
        for view in self.views:
            self._claim_keys(view)
        self._keys = self._compile(tuple(self._key_fields), asked_by="a view's keys")
        self._refuse_stored_keys()

    def origin(self, name: str, *, asked_by: str) -> Origin:
        """Say what answers to a name.

        Raises:
            FeatureError: Nothing does; the message holds the nearest right spelling.
        """
        if name in self._request:
            return "request"
        if name in self._stored:
            return "stored"
        if name in self.module.functions:
            return "on_demand"
        known = {**self._request, **self.module.functions, **self._stored}
        raise FeatureError(
            f"features of {self.module.name}: {name!r}, asked for by {asked_by}, is no request field, no function of "
            f"the module and no feature of its views.{nearest(name, known)} Known: {', '.join(sorted(known))}.",
            model=self.module.name,
            feature=name,
            known=sorted(known),
        )

    def keys(self, request: Mapping[str, Array]) -> dict[str, Array]:
        """Give the request with the columns added that find the rows of the views, such as `departure_hour`.

        Raises:
            FeatureError: A request column is missing or of the wrong dtype, or a key comes out of the wrong dtype.
        """
        columns = dict(request)
        if self._key_fields:
            for field, column in zip(self._key_fields.values(), self._keys.run(request), strict=True):
                columns[field.name] = _as_key(column, field)
        return columns

    def values(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Give the columns of the features in the order of FEATURES, from request columns and stored features."""
        return self._vector.run(inputs)

    def looked_up(self, feature: str) -> tuple[tuple[Field, FeatureView], ...]:
        """Give the stored features that a feature is computed from, each with its view."""
        inputs = self._compile((feature,), asked_by="FEATURES").inputs
        return tuple(self._stored[field.name] for field in inputs if field.name in self._stored)

    def _claim(self, view: FeatureView) -> None:
        """Enter the features of a view under their names, each of which must still be free."""
        for field in view.features:
            owner = (
                "a request field"
                if field.name in self._request
                else "a function of the module"
                if field.name in self.module.functions
                else f"a feature of view {self._stored[field.name][1].name!r}"
                if field.name in self._stored
                else None
            )
            if owner:
                raise FeatureError(
                    f"features of {self.module.name}: {field.name!r} is a feature of view {view.name!r} and {owner}, "
                    "so the name means two things. Rename one of them.",
                    model=self.module.name,
                    feature=field.name,
                )
            self._stored[field.name] = (field, view)

    def _claim_keys(self, view: FeatureView) -> None:
        for key in view.keys:
            other = self._key_fields.setdefault(key.name, key)
            if other.dtype != key.dtype:
                raise FeatureError(
                    f"features of {self.module.name}: view {view.name!r} is looked up by {key.name!r} as {key.dtype}, "
                    f"another view by the same name as {other.dtype}. Rename one of them.",
                    model=self.module.name,
                    feature=key.name,
                )

    def _compile(self, names: Sequence[str], *, asked_by: str) -> Program:
        """Settle what to fetch and in which order to call, so that every argument is there when it is needed."""
        order: dict[str, None] = {}  # a set that keeps its order: arguments before what is computed from them

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                circle = " -> ".join([*path[path.index(name) :], name])
                raise FeatureError(
                    f"features of {self.module.name}: {circle} goes round in a circle, so none can be computed first. "
                    "Break it.",
                    model=self.module.name,
                    feature=name,
                )
            if name in order:
                return
            if self.origin(name, asked_by=f"{path[-1]}()" if path else asked_by) == "on_demand":
                for argument in self.module.functions[name].arguments:
                    visit(argument, (*path, name))
            order[name] = None

        for name in names:
            visit(name, ())
        inputs = [name for name in order if name not in self.module.functions]
        functions = [self.module.functions[name] for name in order if name in self.module.functions]
        place = {name: position for position, name in enumerate([*inputs, *(f.name for f in functions)])}
        return Program(
            inputs=tuple(self._request.get(name) or self._stored[name][0] for name in inputs),
            calls=tuple(_call(function, place) for function in functions),
            outputs=tuple(place[name] for name in names),
        )

    def _refuse_stored_keys(self) -> None:
        for field in self._keys.inputs:
            if field.name in self._stored:
                raise FeatureError(
                    f"features of {self.module.name}: a view's key is computed from {field.name!r}, which is itself "
                    f"looked up in view {self._stored[field.name][1].name!r}. Keys are told from the request alone; "
                    "store the feature under the other key instead.",
                    model=self.module.name,
                    feature=field.name,
                )


def _call(function: FeatureFunction, place: Mapping[str, int]) -> Call:
    return Call(function.name, function.call, tuple(place[argument] for argument in function.arguments))


def _as_key(column: Array, field: Field) -> Array:
    """Give a key column in the form the stores look it up by; whole numbers as int64."""
    column = as_column(column, field)
    return column.astype(np.int64) if field.dtype == "int64" else column
