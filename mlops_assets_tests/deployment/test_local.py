"""What is particular to the endpoint process of this machine."""

import os
import shutil
from dataclasses import replace

import pytest

from mlops_assets.cli.ports import any_port
from mlops_assets.deployment import EndpointGoneError, LocalTarget, RolloutPolicy
from mlops_assets.errors import DeploymentError
from mlops_assets.stores.predictions import days
from mlops_assets.stores.releases import ReleaseStore
from mlops_assets_tests._endpoint import INSTANCE, MODEL, ServingHome, running_endpoint

QUICK = RolloutPolicy(timeout_s=0.5, poll_s=0.02)


def test_without_an_endpoint_nothing_is_released(tmp_path, trained):
    """The message says how to start one, and what was live stays what should be."""
    home = ServingHome(tmp_path)
    url = f"http://127.0.0.1:{any_port()}"

    with pytest.raises(EndpointGoneError, match="mlops up"):
        LocalTarget(home.releases, url=url).deploy(home.next_release(home.save(trained.parts)))

    assert home.releases.current(MODEL) is None


def test_an_endpoint_of_another_home_is_found_out(stack, trained, tmp_path_factory):
    """The endpoint never reports the release, so the message names the likely reason."""
    elsewhere = ServingHome(tmp_path_factory.mktemp("elsewhere"))
    target = LocalTarget(elsewhere.releases, url=stack.endpoint.url, policy=QUICK)

    with pytest.raises(DeploymentError, match="same home"):
        target.deploy(elsewhere.next_release(elsewhere.save(trained.parts)))


def test_a_version_that_fails_its_smoke_test_is_taken_back(stack, trained, retrained, monkeypatch):
    """Loading is not enough: predictions over HTTP must come right."""
    target = LocalTarget(stack.home.releases, url=stack.endpoint.url)
    target.deploy(stack.home.next_release(stack.home.save(trained.parts)))
    faults = iter([["a score is no finite number"], []])
    monkeypatch.setattr(target, "_smoke", lambda client, rollout: next(faults))

    with pytest.raises(DeploymentError, match="no finite number; version 1 answers again"):
        target.deploy(stack.home.next_release(stack.home.save(retrained.parts)))

    assert stack.endpoint.predict(INSTANCE).json()["version"] == 1


def test_smoke_predictions_are_not_among_the_models_own(stack, trained):
    """Deploying writes nothing to the log that monitoring reads."""
    target = LocalTarget(stack.home.releases, url=stack.endpoint.url)

    target.deploy(stack.home.next_release(stack.home.save(trained.parts)))

    assert days(stack.home.predictions, MODEL) == ()
    assert len(days(stack.home.predictions, f"{MODEL}.smoke")) == 1


def test_a_release_made_meanwhile_is_not_undone(stack, trained, retrained):
    """Whoever is late neither overwrites nor restores over somebody else's version."""
    home = stack.home
    late = replace(home.next_release(home.save(retrained.parts)), generation=1)
    home.release(home.save(trained.parts))

    with pytest.raises(DeploymentError, match="somebody else"):
        LocalTarget(home.releases, url=stack.endpoint.url).deploy(late)

    assert home.releases.current(MODEL).version == 1


class Overtaken(ReleaseStore):
    """A store in which somebody else releases right after us, before any endpoint has seen ours."""

    def put(self, release):
        aside = ReleaseStore(shutil.copytree(self.root, self.root.with_name("aside")))
        aside.put(release)
        aside.put(replace(release, version=3, generation=release.generation + 1))
        os.replace(aside.root / f"{MODEL}.json", self.root / f"{MODEL}.json")


def test_being_overtaken_while_waiting_is_told(stack, trained, retrained):
    """A newer generation is left alone."""
    home = stack.home
    home.release(home.save(trained.parts))
    target = LocalTarget(Overtaken(home.root / "releases"), url=stack.endpoint.url)

    with pytest.raises(DeploymentError, match="released by somebody else meanwhile"):
        target.deploy(home.next_release(home.save(retrained.parts)))

    assert home.releases.current(MODEL).version == 3


def test_an_endpoint_killed_while_waiting_ends_in_a_message(stack, trained):
    """Connection refused is not a traceback of the HTTP library."""

    class Dying(ReleaseStore):
        def put(self, release):
            super().put(release)
            stack.endpoint.kill()

    target = LocalTarget(Dying(stack.home.root / "releases"), url=stack.endpoint.url, policy=QUICK)

    with pytest.raises(DeploymentError, match="does not answer"):
        target.deploy(stack.home.next_release(stack.home.save(trained.parts)))


def test_an_endpoint_killed_before_it_was_tried_leaves_the_release_to_be_proved_later(stack, trained, monkeypatch):
    """It was no fault of the version: when the endpoint is back, deploying again finds it live and changes nothing."""
    target = LocalTarget(stack.home.releases, url=stack.endpoint.url)
    release = stack.home.next_release(stack.home.save(trained.parts))
    smoke = target._smoke

    def killed_first(client, rollout):
        stack.endpoint.kill()
        return smoke(client, rollout)

    monkeypatch.setattr(target, "_smoke", killed_first)
    with pytest.raises(EndpointGoneError, match="went away while version 1"):
        target.deploy(release)
    left = stack.home.releases.current(MODEL)
    with running_endpoint(stack.home.root) as endpoint:
        again = LocalTarget(stack.home.releases, url=endpoint.url).deploy(
            stack.home.next_release(release.bundle_sha256)
        )

    assert left == release
    assert (again.generation, again.bundle_sha256) == (1, release.bundle_sha256)
