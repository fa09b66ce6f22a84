"""The rollout's states, without an endpoint."""

import pytest
from pydantic import ValidationError

from mlops_assets.deployment import Rollout, RolloutPolicy, Sighting
from mlops_assets.errors import DeploymentError

POLICY = RolloutPolicy(timeout_s=10)


@pytest.fixture
def loading() -> Rollout:
    return Rollout(model="late", version=4, bundle_sha256="new", generation=7).released()


def test_a_version_goes_live_when_seen_and_tried(loading):
    """Pending, loading, warming, live."""
    warming = loading.seen(Sighting(generation=7, bundle_sha256="new"), waited_s=0.1, policy=POLICY)

    assert loading.state == "loading"
    assert warming.state == "warming"
    assert warming.smoked([]).state == "live"


@pytest.mark.parametrize(
    "sighting",
    [None, Sighting(), Sighting(generation=6, bundle_sha256="old"), Sighting(generation=6, failed_generation=6)],
    ids=["no answer", "unknown model", "the version before", "a failure of the version before"],
)
def test_it_waits_until_the_timeout_and_then_says_what_to_look_at(loading, sighting):
    """What is not there yet is waited for, but not for ever."""
    assert loading.seen(sighting, waited_s=9.9, policy=POLICY) == loading

    failed = loading.seen(sighting, waited_s=10, policy=POLICY)

    assert failed.state == "failed"
    assert "same home" in failed.reason


@pytest.mark.parametrize(
    ("sighting", "reason"),
    [
        (Sighting(generation=6, failed_generation=7, failure="model.txt changed"), "model.txt changed"),
        (Sighting(generation=8, bundle_sha256="newer"), "somebody else"),
        (Sighting(generation=7, bundle_sha256="other"), "reports bundle other"),
    ],
)
def test_it_fails_at_once_when_waiting_cannot_help(loading, sighting, reason):
    """A refused bundle or a newer release is no matter of time."""
    failed = loading.seen(sighting, waited_s=0, policy=POLICY)

    assert failed.state == "failed"
    assert reason in failed.reason


def test_faults_of_smoke_predictions_fail_it_and_an_earlier_version_can_answer_again(loading):
    """The reason tells the faults, and what answers now."""
    warming = loading.seen(Sighting(generation=7, bundle_sha256="new"), waited_s=0, policy=POLICY)

    back = warming.smoked(["a score is no finite number"]).restored(3)

    assert back.state == "rolled_back"
    assert back.reason == "smoke predictions failed: a score is no finite number; version 3 answers again"


@pytest.mark.parametrize(
    "step",
    [
        lambda rollout: rollout.released(),
        lambda rollout: rollout.smoked([]),
        lambda rollout: rollout.restored(3),
    ],
)
def test_a_step_out_of_turn_is_an_error(loading, step):
    """Nothing goes live untried, and nothing that lives is restored."""
    with pytest.raises(DeploymentError, match="is loading"):
        step(loading)


def test_a_target_misspelt_is_refused_with_the_right_one():
    """A typo in YAML is told with what it should be."""
    with pytest.raises(ValidationError, match="Did you mean 'local'"):
        RolloutPolicy(target="locale")


def test_a_setting_that_does_not_exist_is_refused():
    """Misspelt keys never sleep."""
    with pytest.raises(ValidationError, match="timeout"):
        RolloutPolicy(timeout=3)
