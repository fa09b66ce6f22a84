"""What goes into a bundle, and what must not."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from mlops_assets.digests import sha256_bytes
from mlops_assets.errors import BundleError
from mlops_assets.records import FeatureVectorSpec, Field, VectorFeature
from mlops_assets.training import TRAINERS, Golden, assemble_bundle

SOURCE = "FEATURES = ('delay',)\n"
META = {"model": "flight_delay", "task": "binary", "learnt_from": datetime(2013, 4, 1, tzinfo=UTC)}


@pytest.fixture
def fitted(binary):
    return TRAINERS["lightgbm"].fit(binary, params={"num_iterations": 3}, seed=7)


@pytest.fixture
def spec(binary):
    return FeatureVectorSpec(
        request=(Field(name="delay", dtype="float64"),),
        views=(),
        features=tuple(VectorFeature(name=name, origin="request") for name in binary.names),
        code_sha256=sha256_bytes(SOURCE.encode()),
    )


@pytest.fixture
def golden():
    return Golden(
        request=[{"delay": 1.5, "at": datetime(2013, 4, 1, 6, tzinfo=UTC)}, {"delay": float("nan"), "at": None}],
        stored={"late_rate": np.array([0.25, np.nan]), "carrier": np.array(["UA", None], object)},
        scores=np.array([0.1 + 0.2, 1 / 3]),
    )


def assemble(fitted, spec, golden, **changed):
    given = {"features_source": SOURCE, "profile": b"{}", "meta": META} | changed
    return assemble_bundle(fitted, spec=spec, golden=golden, **given)


def test_a_bundle_holds_model_code_spec_profile_golden_rows_and_meta(fitted, spec, golden):
    """Nothing else is needed to answer, and nothing else is in it."""
    parts = assemble(fitted, spec, golden)

    assert sorted(parts) == ["features.py", "golden.json", "meta.json", "model.txt", "profile.json", "spec.json"]
    assert json.loads(parts["meta.json"])["learnt_from"] == "2013-04-01T00:00:00Z"
    assert json.loads(parts["meta.json"])["rounds"] == 3
    assert sha256_bytes(parts["features.py"]) == json.loads(parts["spec.json"])["code_sha256"]


def test_golden_scores_come_back_to_the_last_bit_and_missing_values_as_null(fitted, spec, golden):
    """JSON loses no digit of a float64; NaN, which JSON has not, is null."""
    read = json.loads(assemble(fitted, spec, golden)["golden.json"])

    assert read["scores"] == golden.scores.tolist()
    assert read["stored"] == {"late_rate": [0.25, None], "carrier": ["UA", None]}
    assert read["request"] == [{"delay": 1.5, "at": "2013-04-01T06:00:00Z"}, {"delay": None, "at": None}]


def test_the_order_in_which_meta_was_written_does_not_change_a_byte(fitted, spec, golden):
    """Bytes are canonical."""
    turned = dict(reversed(META.items()))

    assert assemble(fitted, spec, golden) == assemble(fitted, spec, golden, meta=turned)


@pytest.mark.parametrize("passing", ["mlflow_run_id", "cut_off"])
def test_meta_may_not_name_the_run(fitted, spec, golden, passing):
    """A run id would give two identical models two digests; so would the moment at which the same rows were seen."""
    with pytest.raises(BundleError, match=f"{passing} would differ"):
        assemble(fitted, spec, golden, meta=META | {passing: "a1"})


def test_a_spec_in_another_order_than_the_model_is_refused(fitted, spec, golden):
    """Swapped columns would be read as each other without a word."""
    features = (spec.features[1], spec.features[0], *spec.features[2:])
    swapped = FeatureVectorSpec(request=spec.request, views=(), features=features, code_sha256=spec.code_sha256)

    with pytest.raises(BundleError, match="delay / wind"):
        assemble(fitted, swapped, golden)


def test_code_other_than_the_specs_is_refused(fitted, spec, golden):
    """The endpoint would compute other features than training did."""
    with pytest.raises(BundleError, match=r"features\.py"):
        assemble(fitted, spec, golden, features_source="FEATURES = ()\n")


@pytest.mark.parametrize(
    "golden", [Golden(request=[], stored={}, scores=[]), Golden(request=[{}], stored={}, scores=[])]
)
def test_golden_rows_that_do_not_line_up_are_refused(fitted, spec, golden):
    """Without them a wrongly loaded model would go unnoticed."""
    with pytest.raises(BundleError, match="Golden rows"):
        assemble(fitted, spec, golden)
