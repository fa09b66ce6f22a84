"""In which shapes a view is written online beside the declared one: those that live models know it in."""

import msgspec

from mlops_assets.records import FeatureView, TrainingSet
from mlops_assets.stores.home import Home


def other_shapes(stores: Home, view: FeatureView) -> list[FeatureView]:
    """Give the other shapes of `view` that live models, and those they may be rolled back to, were trained on.

    A model looks up what it was trained on. Without these, a view that is given a feature would leave it with rows that
    nobody renews. A shape with a feature that the view has no longer cannot be written, and is none of them.
    """
    shapes = dict[tuple[tuple[str, str], ...], FeatureView]()
    given = {(field.name, field.dtype) for field in view.features}
    for model in stores.releases.models():
        if (release := stores.releases.current(model)) is None:
            continue
        answering = {release.bundle_sha256, release.previous_bundle_sha256}
        for version in stores.state.versions(model):
            if version.bundle_sha256 not in answering:
                continue
            for known in msgspec.json.decode(version.record_json, type=TrainingSet).spec.views:
                asked = {(field.name, field.dtype) for field in known.features}
                if known.name == view.name and known.keys == view.keys and asked <= given:
                    shapes[_columns(known)] = known
    return [known for columns, known in shapes.items() if columns != _columns(view)]


def _columns(view: FeatureView) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.dtype) for field in view.features)
