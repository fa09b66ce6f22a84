"""Freezing a feature vector at training: the kind and order of its features, and the levels of its categories."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mlops_assets.errors import FeatureError, examples
from mlops_assets.features.module import Array, FeatureModule
from mlops_assets.features.plan import FeaturePlan
from mlops_assets.features.vector import Vectorizer, rows_of
from mlops_assets.records import FeatureVectorSpec, FeatureView, VectorFeature

ROWS_TRIED_ALONE, ROWS_TRIED = 64, 10_000


def build_spec(module: FeatureModule, views: Sequence[FeatureView], inputs: Mapping[str, Array]) -> FeatureVectorSpec:
    """Give the frozen description of the vector, with category levels as the training rows show them.

    The module is also put to the test the endpoint depends on: some rows are computed one by one, and some among fewer
    others, and must come out bit for bit as in the batch, with the inputs left as they were.

    Args:
        module: The model's features module.
        views: The views the model declares; those it asks nothing of are left out of the spec.
        inputs: Request columns and stored features of the training rows, shape (n,) each, n >= 1.

    Raises:
        FeatureError: A name cannot be resolved, a feature is neither number nor string, or a function looks at other
            rows, remembers some, looks at chance or changes its arguments.
    """
    plan = FeaturePlan(module, views)
    inputs = {field.name: _locked(inputs[field.name]) for field in plan.inputs if field.name in inputs}
    columns = plan.values(inputs)
    if not columns[0].size:
        raise FeatureError(f"features of {module.name}: there is no training row, so categories have no levels.")
    features = tuple(
        VectorFeature(name=name, origin=plan.origin(name, asked_by="FEATURES"), levels=_levels(column, name=name))
        for name, column in zip(module.features, columns, strict=True)
    )
    spec = FeatureVectorSpec(
        request=module.request, views=plan.views, features=features, code_sha256=module.code_sha256
    )
    _check_rows_stand_alone(Vectorizer(spec, module), inputs)
    return spec


def _levels(column: Array, *, name: str) -> tuple[str, ...] | None:
    """Give the sorted levels of a category, or None for a number."""
    if column.dtype.kind in "fbiu":
        return None
    found = set(column.tolist()) - {None} if column.dtype.kind in "OU" else {column.dtype}
    strangers = {type(value).__name__ for value in found if not isinstance(value, str)}
    if strangers:
        held = ", ".join(sorted(strangers)) if column.dtype.kind in "OU" else str(column.dtype)
        raise FeatureError(
            f"feature {name!r} holds {held}; a model sees numbers, or strings as categories with None for null. "
            "Turn it into one of these in a function.",
            feature=name,
        )
    return tuple(sorted(found))


def _locked(column: Array) -> Array:
    """Give a view that cannot be written to, so that a function changing its arguments fails here."""
    view = column.view()
    view.flags.writeable = False
    return view


def _check_rows_stand_alone(vectorizer: Vectorizer, inputs: Mapping[str, Array]) -> None:
    """Compute rows again, each alone and some among fewer others, by the text run anew: what it noted is forgotten."""
    batch = vectorizer.vector(inputs)
    rows, fewer = (_evenly(len(batch), at_most) for at_most in (ROWS_TRIED_ALONE, min(ROWS_TRIED, len(batch) // 2)))
    anew = _anew(vectorizer)
    alone = np.concatenate([anew.vector(one) for one in rows_of(inputs, rows)])
    among = _anew(vectorizer).vector({name: column[fewer] for name, column in inputs.items()})
    for how, found, was in (("for one row alone", alone, batch[rows]), ("among fewer rows", among, batch[fewer])):
        differs = ((found != was) & ~(np.isnan(found) & np.isnan(was))).any(axis=0)
        if differs.any():
            names = [name for name, moved in zip(vectorizer.names, differs.tolist(), strict=True) if moved]
            raise FeatureError(
                f"features of {vectorizer.module.name}: {examples(names)} came out differently {how} than in "
                "the batch, so the endpoint would not see what training saw. A feature may look at its own row only, "
                "may remember nothing, and ask no clock or chance.",
                model=vectorizer.module.name,
                features=names,
            )


def _anew(vectorizer: Vectorizer) -> Vectorizer:
    module = vectorizer.module
    return Vectorizer(vectorizer.spec, FeatureModule.load(module.source, name=module.name))


def _evenly(size: int, at_most: int) -> npt.NDArray[np.intp]:
    return np.unique(np.linspace(0, size - 1, max(1, at_most)).astype(np.intp))
