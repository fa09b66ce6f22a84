"""What every deployment target promises; a new one is tested by being in the registry."""

import pytest

from mlops_assets.deployment import TARGETS, RolloutPolicy
from mlops_assets.errors import DeploymentError
from mlops_assets.records import Endpoint
from mlops_assets_tests._endpoint import INSTANCE, MODEL, NOON


@pytest.fixture(params=sorted(TARGETS))
def target(request, stack):
    policy = RolloutPolicy(target=request.param, timeout_s=60, poll_s=0.02)
    return TARGETS[request.param](stack.home.releases, url=stack.endpoint.url, policy=policy)


def test_a_deployed_version_answers_when_deploy_returns(target, stack, trained):
    """No waiting afterwards: the record says what is live, and it is."""
    release = stack.home.next_release(stack.home.save(trained.parts))

    endpoint = target.deploy(release)

    answer = stack.endpoint.predict(INSTANCE).json()
    assert isinstance(endpoint, Endpoint)
    assert (endpoint.version, endpoint.bundle_sha256, endpoint.generation) == (1, release.bundle_sha256, 1)
    assert answer["bundle_sha256"] == endpoint.bundle_sha256
    assert endpoint.live_at == release.at


def test_deploying_what_is_live_proves_it_and_changes_nothing(target, stack, trained):
    """A retried run finds its release written and ends well."""
    digest = stack.home.save(trained.parts)
    first = target.deploy(stack.home.next_release(digest))

    again = target.deploy(stack.home.next_release(digest))

    assert again == first
    assert stack.home.releases.current(MODEL).generation == 1


def test_a_failed_deployment_can_be_tried_again_at_once(target, stack, trained):
    """What was missing is there now, so the same bundle goes live under the next generation."""
    rows = stack.home.root / "online.sqlite"
    aside = rows.rename(stack.home.root / "aside.sqlite")
    digest = stack.home.save(trained.parts)
    with pytest.raises(DeploymentError, match="Materialize features/carrier_delays"):
        target.deploy(stack.home.next_release(digest))
    aside.rename(rows)

    again = target.deploy(stack.home.next_release(digest))

    assert (again.bundle_sha256, again.generation, again.previous_bundle_sha256) == (digest, 2, None)


def test_a_version_that_cannot_be_served_leaves_the_one_before_live(target, stack, trained, retrained):
    """The failure is raised with its reason, and the old version answers under a new generation."""
    good = target.deploy(stack.home.next_release(stack.home.save(trained.parts)))
    bad = stack.home.save({**retrained.parts, "model.txt": b"no model"})

    with pytest.raises(DeploymentError, match=r"LightGBM refused.*version 1 answers again") as failed:
        target.deploy(stack.home.next_release(bad))

    answer = stack.endpoint.predict(INSTANCE).json()
    assert failed.value.rollout.state == "rolled_back"
    assert (answer["bundle_sha256"], answer["version"], answer["generation"]) == (good.bundle_sha256, 1, 3)
    assert stack.endpoint.client.get(f"/models/{MODEL}").json()["failure"] is None


def test_a_rollback_brings_the_version_before_back(target, stack, trained, retrained):
    """One step back, as a new generation; a second step has nowhere to go."""
    first = target.deploy(stack.home.next_release(stack.home.save(trained.parts)))
    target.deploy(stack.home.next_release(stack.home.save(retrained.parts)))

    back = target.rollback(MODEL, at=NOON)

    assert (back.bundle_sha256, back.version, back.generation) == (first.bundle_sha256, 1, 3)
    assert stack.endpoint.predict(INSTANCE).json()["bundle_sha256"] == first.bundle_sha256
    with pytest.raises(DeploymentError, match="no earlier version"):
        target.rollback(MODEL, at=NOON)


def test_a_model_never_deployed_cannot_be_rolled_back(target):
    """There is nothing to go back to, and it says so."""
    with pytest.raises(DeploymentError, match="no earlier version"):
        target.rollback("unheard_of", at=NOON)
