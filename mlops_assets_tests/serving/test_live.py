"""Swapping versions: new releases come up by themselves, bad ones change nothing, old ones go."""

import gc
import json
import weakref

import numpy as np
import pytest

from mlops_assets.digests import canonical_json
from mlops_assets.scoring import CALIBRATION_PART, Calibrator
from mlops_assets_tests._endpoint import INSTANCE, MODEL


def damaged(home, sha256):
    """Change a part of a bundle behind its digest's back."""
    part = home.bundles.path(MODEL, sha256) / "model.txt"
    part.chmod(0o644)
    part.write_bytes(part.read_bytes().replace(b"leaf_value=", b"leaf_value=9", 1))


def test_a_new_release_is_served_after_the_next_look(home, serve, trained, retrained):
    """Version, digest and score are the new ones."""
    home.release(home.save(trained.parts))
    endpoint = serve()
    before = endpoint.predict(INSTANCE).json()

    second = home.release(home.save(retrained.parts))
    endpoint.live.refresh()

    after = endpoint.predict(INSTANCE).json()
    assert (after["version"], after["generation"], after["bundle_sha256"]) == (2, 2, second.bundle_sha256)
    assert after["predictions"][0]["score"] != before["predictions"][0]["score"]


def test_a_damaged_bundle_leaves_the_old_version_answering(home, serve, trained, retrained):
    """The failure is told by health and metadata; predictions go on."""
    home.release(home.save(trained.parts))
    endpoint = serve()
    bad = home.save(retrained.parts)
    damaged(home, bad)

    home.release(bad)
    endpoint.live.refresh()

    assert endpoint.predict(INSTANCE).json()["version"] == 1
    ready = endpoint.client.get("/health/ready")
    assert ready.status_code == 200
    for told in (ready.json()["models"][MODEL], endpoint.client.get(f"/models/{MODEL}").json()):
        assert told["version"] == 1
        assert told["failure"]["generation"] == 2
        assert "model.txt" in told["failure"]["reason"]


def tampered(parts, part, change):
    content = json.loads(parts[part])
    change(content)
    return {**parts, part: json.dumps(content).encode()}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda p: tampered(p, "golden.json", lambda g: g["scores"].__setitem__(1, g["scores"][1] + 1e-16)),
            "golden rows",
        ),
        (lambda p: tampered(p, "golden.json", lambda g: g["request"][0].pop("carrier")), "golden.json does not fit"),
        (lambda p: tampered(p, "golden.json", lambda g: g.update(request=[], scores=[])), "golden"),
        (lambda p: tampered(p, "spec.json", lambda s: s["features"].pop()), "the spec lists"),
        (lambda p: {**p, "features.py": p["features.py"] + b"\n"}, "digest"),
        (lambda p: {**p, "features.py": b"import os"}, "imports 'os'"),
        (lambda p: {**p, "model.txt": b"no model"}, "LightGBM refused"),
        (lambda p: {**p, "spec.json": b"{"}, "spec.json of the bundle cannot be read"),
        (lambda p: {k: v for k, v in p.items() if k != "meta.json"}, "lacks meta.json"),
    ],
)
def test_a_bundle_that_cannot_be_served_says_why(home, serve, trained, retrained, change, reason):
    """Each kind of bad bundle is refused at loading, in words."""
    home.release(home.save(trained.parts))
    endpoint = serve()

    home.release(home.save(change(retrained.parts)))
    endpoint.live.refresh()

    assert reason in endpoint.live.failures[MODEL].reason
    assert endpoint.predict(INSTANCE).json()["version"] == 1


def test_a_first_release_that_fails_is_not_ready_and_answers_503(home, serve, trained):
    """With nothing to fall back on, callers and supervisors are told."""
    bad = home.save(trained.parts)
    damaged(home, bad)
    home.release(bad)

    endpoint = serve()

    assert endpoint.client.get("/health/ready").status_code == 503
    assert endpoint.predict(INSTANCE).status_code == 503
    assert endpoint.client.get(f"/models/{MODEL}").json()["serving"] is False


def test_a_restart_on_a_bad_release_falls_back_to_the_version_before(home, serve, trained, retrained):
    """Between a bad release and its rollback a restarted endpoint answers as it did before."""
    home.release(home.save(trained.parts))
    bad = home.save(retrained.parts)
    home.release(bad)
    damaged(home, bad)

    endpoint = serve()

    answer = endpoint.predict(INSTANCE).json()
    assert (answer["version"], answer["generation"]) == (1, 1)
    assert endpoint.live.failures[MODEL].generation == 2


def test_a_mended_release_comes_up_without_a_new_one(home, serve, trained):
    """A view that is written later is found by trying again."""
    rows = home.root / "online.sqlite"
    aside = rows.rename(home.root / "aside.sqlite")
    home.release(home.save(trained.parts))
    endpoint = serve()
    assert "Materialize features/carrier_delays" in endpoint.client.get(f"/models/{MODEL}").json()["failure"]["reason"]

    aside.rename(rows)
    endpoint.live.refresh()

    assert endpoint.predict(INSTANCE).status_code == 200
    assert endpoint.live.failures == {}


def test_a_release_file_that_is_no_release_changes_nothing(home, serve, trained):
    """A torn or foreign file is a failure told, not an end of service."""
    home.release(home.save(trained.parts))
    endpoint = serve()

    (home.root / "releases" / f"{MODEL}.json").write_text("{")
    endpoint.live.refresh()

    assert endpoint.predict(INSTANCE).status_code == 200
    assert "cannot be read" in endpoint.live.failures[MODEL].reason


def test_the_old_booster_goes_when_its_last_request_is_done(home, serve, trained, retrained):
    """A request under way keeps its version; after it, the memory goes back at once."""
    home.release(home.save(trained.parts))
    endpoint = serve()
    in_flight = endpoint.live.models[MODEL]
    booster = weakref.ref(in_flight._predictor)

    home.release(home.save(retrained.parts))
    endpoint.live.refresh()

    assert booster() is not None
    gc.disable()
    try:
        del in_flight
        assert booster() is None
    finally:
        gc.enable()


def test_models_of_one_endpoint_do_not_touch_each_other(home, serve, trained, retrained):
    """A failure of one leaves the other alone."""
    home.release(home.save(trained.parts))
    bad = home.bundles.save("other", {**retrained.parts, "model.txt": b"no model"})
    home.release(bad, model="other")

    endpoint = serve()

    assert endpoint.predict(INSTANCE).status_code == 200
    assert endpoint.predict(INSTANCE, model="other").status_code == 503


def test_a_calibrated_bundle_answers_along_its_line(home, serve, trained):
    """The score is that of the line, bit for bit as it was in training, and decides."""
    line = Calibrator(method="platt", scores=(0.0, 0.4, 1.0), probabilities=(0.01, 0.05, 0.3), rows=100)
    golden = json.loads(trained.parts["golden.json"])
    golden["scores"] = line(np.array(golden["scores"])).tolist()
    parts = trained.parts | {CALIBRATION_PART: canonical_json(line), "golden.json": json.dumps(golden).encode()}
    home.release(home.save(trained.parts))
    plain = serve().predict(INSTANCE).json()["predictions"][0]

    home.release(home.save(parts))
    answered = serve().predict(INSTANCE).json()["predictions"][0]

    assert answered["score"] == line(np.array([plain["score"]]))[0]
    assert answered["decision"] is False


def test_a_line_that_training_did_not_draw_is_refused(home, serve, trained):
    """Golden rows are calibrated ones, so a calibration put in afterwards comes out wrong."""
    line = Calibrator(method="platt", scores=(0.0, 1.0), probabilities=(0.1, 0.2), rows=100)
    home.release(home.save(trained.parts | {CALIBRATION_PART: canonical_json(line)}))

    endpoint = serve()

    assert endpoint.client.get("/health/ready").status_code == 503
    assert "golden rows" in str(endpoint.client.get(f"/models/{MODEL}").json())
