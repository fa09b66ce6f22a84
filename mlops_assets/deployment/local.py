"""The endpoint process of this machine: a release is a file it watches, and HTTP tells when it obeys."""

import math
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic

from mlops_assets.deployment.rollout import Rollout, RolloutPolicy, Sighting
from mlops_assets.deployment.target import EndpointGoneError, R, Releases
from mlops_assets.digests import sha256_json
from mlops_assets.errors import DeploymentError
from mlops_assets.records import Endpoint

if TYPE_CHECKING:
    import httpx

REQUEST_TIMEOUT_S = 10.0


class LocalTarget(Generic[R]):
    """Deploys by writing releases, and believes only what the endpoint at `url` reports over HTTP."""

    def __init__(self, releases: Releases[R], *, url: str, policy: RolloutPolicy | None = None) -> None:
        self.url = url.rstrip("/")
        self._releases = releases
        self._policy = policy or RolloutPolicy()

    def deploy(self, release: R) -> Endpoint:
        """Bring `release` live and give the endpoint; deploying what is live already only proves that it is.

        Raises:
            EndpointGoneError: No endpoint answers, and then nothing was changed; or it went away before the version
                was tried, and then the version is the one to come live when it is back.
            DeploymentError: The version did not come live, and the one before it was put back under the next
                generation. `rollout` tells the way it went.
        """
        with self._client() as client:
            self._greet(client, release.model)
            before = self._releases.current(release.model)
            if before is not None and before.bundle_sha256 == release.bundle_sha256:
                release, before = self._again(client, before, release), _previous(before)
            else:
                self._releases.put(release)
            rollout = self._bring_up(client, release)
            if rollout.state == "live":
                return self._endpoint(release)
            rollout = self._restore(client, rollout, before, release)
        raise DeploymentError(
            f"Version {release.version} of {release.model!r} did not go live: {rollout.reason}.",
            rollout=rollout,
            model=release.model,
        )

    def rollback(self, model: str, *, at: datetime) -> Endpoint:
        """Bring the version before the current one live again; a second rollback needs a new deployment between.

        Raises:
            DeploymentError: There is no earlier version, no endpoint answers, or it did not come live.
        """
        current = self._releases.current(model)
        earlier = _previous(current) if current is not None else None
        if current is None or earlier is None:
            raise DeploymentError(
                f"Model {model!r} has no earlier version to go back to. Deploy a version instead.", model=model
            )
        with self._client() as client:
            self._greet(client, model)
            release = replace(earlier, generation=current.generation + 1, at=at)
            self._releases.put(release)
            rollout = self._bring_up(client, release)
        if rollout.state != "live":
            raise DeploymentError(
                f"Version {release.version} of {model!r} did not come back: {rollout.reason}. The endpoint goes on with"
                " what it served.",
                rollout=rollout,
                model=model,
            )
        return self._endpoint(release)

    def _again(self, client: "httpx.Client", before: R, release: R) -> R:
        """Release a bundle once more, unless it is live: an attempt was cut short, or failed for want of something."""
        sighting = _sighting(client, release.model)
        if sighting is not None and sighting.generation == before.generation:
            return before
        release = replace(
            release,
            previous_version=before.previous_version,
            previous_bundle_sha256=before.previous_bundle_sha256,
        )
        self._releases.put(release)
        return release

    def _bring_up(self, client: "httpx.Client", release: R) -> Rollout:
        """Wait for a written release to be reported, then try predictions on it."""
        rollout = Rollout(
            model=release.model,
            version=release.version,
            bundle_sha256=release.bundle_sha256,
            generation=release.generation,
        ).released()
        began = time.monotonic()
        while rollout.state == "loading":
            sighting = _sighting(client, release.model)
            rollout = rollout.seen(sighting, waited_s=time.monotonic() - began, policy=self._policy)
            if rollout.state == "loading":
                time.sleep(self._policy.poll_s)
        return rollout.smoked(self._smoke(client, rollout)) if rollout.state == "warming" else rollout

    def _restore(self, client: "httpx.Client", rollout: Rollout, before: R | None, failed: R) -> Rollout:
        """Put the release before a failed one back, unless somebody else released meanwhile."""
        if before is None:
            return replace(rollout, reason=f"{rollout.reason}; there is no earlier version to go back to")
        now = self._releases.current(failed.model)
        if now is None or now.generation != failed.generation:
            return rollout
        back = replace(before, generation=failed.generation + 1, at=failed.at)
        self._releases.put(back)
        outcome = self._bring_up(client, back)
        if outcome.state == "live":
            return rollout.restored(back.version)
        return replace(rollout, reason=f"{rollout.reason}; version {back.version} was put back, but {outcome.reason}")

    def _smoke(self, client: "httpx.Client", rollout: Rollout) -> list[str]:
        """Send golden rows as real requests, and give what is wrong with the answers."""
        import httpx

        identity = {key: getattr(rollout, key) for key in ("model", "version", "bundle_sha256", "generation")}
        try:
            golden = _json(client.get(f"/models/{rollout.model}/golden"))
            instances = golden["request"][: self._policy.smoke_rows]
            answer = _json(
                client.post(
                    f"/models/{rollout.model}/predict", json={"instances": instances}, headers={"x-smoke-test": "1"}
                )
            )
            faults = [] if golden["equal"] else ["golden rows do not score as in training"]
            for name, told in (("golden rows", golden), ("predictions", answer)):
                if any(told[key] != value for key, value in identity.items()):
                    faults.append(f"{name} came from another version")
            scores = [prediction["score"] for prediction in answer["predictions"]]
        except httpx.TransportError as error:
            raise EndpointGoneError(
                f"The endpoint at {self.url} went away while version {rollout.version} of {rollout.model!r} was tried"
                f" ({type(error).__name__}). Start it again, and deploy again to see that the version is live.",
                url=self.url,
                model=rollout.model,
            ) from error
        except (httpx.HTTPError, DeploymentError, KeyError, ValueError) as error:
            return [f"{type(error).__name__}: {error}"]
        if len(scores) != len(instances):
            faults.append(f"{len(scores)} predictions for {len(instances)} rows")
        if not all(isinstance(score, float) and math.isfinite(score) for score in scores):
            faults.append("a score is no finite number")
        return faults

    def _greet(self, client: "httpx.Client", model: str) -> None:
        """Make sure that somebody answers before anything is changed."""
        import httpx

        try:
            client.get("/health/live").raise_for_status()
        except httpx.HTTPError as error:
            raise EndpointGoneError(
                f"No endpoint answers at {self.url} ({type(error).__name__}), so nothing was released for {model!r} and"
                " what was live stays so. Start the stack with `mlops up`, or the endpoint alone with"
                " `python -m mlops_assets.serving`, then deploy again.",
                url=self.url,
                model=model,
            ) from error

    def _client(self) -> "httpx.Client":
        import httpx  # 0.15 s, and only who deploys needs it

        return httpx.Client(base_url=self.url, timeout=REQUEST_TIMEOUT_S, trust_env=False)

    def _endpoint(self, release: R) -> Endpoint:
        url = f"{self.url}/models/{release.model}"
        facts = {"model": release.model, "bundle": release.bundle_sha256, "generation": release.generation, "url": url}
        return Endpoint(
            model=release.model,
            sha256=sha256_json(facts),
            version=release.version,
            bundle_sha256=release.bundle_sha256,
            previous_bundle_sha256=release.previous_bundle_sha256,
            url=url,
            generation=release.generation,
            live_at=release.at,
        )


def _previous(release: R) -> R | None:
    """Give the release of the version before, with none before it in turn."""
    if release.previous_bundle_sha256 is None or release.previous_version is None:
        return None
    return replace(
        release,
        version=release.previous_version,
        bundle_sha256=release.previous_bundle_sha256,
        previous_version=None,
        previous_bundle_sha256=None,
    )


def _sighting(client: "httpx.Client", model: str) -> Sighting | None:
    """Ask the endpoint about a model; None if it does not answer."""
    import httpx

    try:
        answer = client.get(f"/models/{model}")
    except httpx.TransportError:
        return None
    if answer.status_code == httpx.codes.NOT_FOUND:
        return Sighting()  # it has not seen the model's first release yet
    told = _json(answer)
    failure: dict[str, Any] = told.get("failure") or {}
    return Sighting(
        generation=told.get("generation"),
        bundle_sha256=told.get("bundle_sha256"),
        failed_generation=failure.get("generation"),
        failure=failure.get("reason", ""),
    )


def _json(answer: "httpx.Response") -> Any:
    if answer.is_error:
        raise DeploymentError(
            f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text}"
        )
    return answer.json()
