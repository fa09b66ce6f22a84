"""A bundle taken apart again: what scores, what it looks at, and what it was promised to look like."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.features import FeatureModule, Vectorizer
from mlops_assets.monitoring import Profile
from mlops_assets.records import FeatureVectorSpec
from mlops_assets.scoring import calibrator_of
from mlops_assets.stores.home import Home
from mlops_assets.training import score, trainer_of

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LoadedBundle:
    """The parts of one bundle, each read when it is first needed."""

    model: str
    sha256: str
    parts: Mapping[str, bytes]

    @classmethod
    def of(cls, stores: Home, model: str, sha256: str) -> "LoadedBundle":
        """Load a bundle, every digest verified."""
        return cls(model, sha256, stores.bundles.load(model, sha256))

    @classmethod
    def live(cls, stores: Home, model: str) -> "LoadedBundle | None":
        """Load the bundle that is live, the champion; None before the first release."""
        release = stores.releases.current(model)
        return cls.of(stores, model, release.bundle_sha256) if release else None

    @cached_property
    def meta(self) -> dict[str, Any]:
        """What was recorded of the fit."""
        return msgspec.json.decode(self.parts["meta.json"], type=dict[str, Any])

    @cached_property
    def spec(self) -> FeatureVectorSpec:
        """What its vector is made of."""
        return msgspec.json.decode(self.parts["spec.json"], type=FeatureVectorSpec)

    @cached_property
    def vectorizer(self) -> Vectorizer:
        """Its own feature code, as it travelled."""
        return Vectorizer(self.spec, FeatureModule.load(self.parts["features.py"].decode(), name=self.model))

    @cached_property
    def profile(self) -> Profile:
        """The training data, counted."""
        return Profile.from_json(self.parts["profile.json"])

    def contributions(self, vectors: Array) -> npt.NDArray[np.float64]:
        """Give what each feature adds to each raw score, shape (n, d + 1); the last column is the expected score."""
        return trainer_of(self.meta["trainer"], self.parts).contributions(self.parts, vectors)

    def score(self, vectors: Array) -> npt.NDArray[np.float64]:
        """Score feature vectors, shape (n, d), calibrated if the bundle says how."""
        return score(self.meta["trainer"], self.parts, vectors)

    @cached_property
    def calibration(self) -> str:
        """By which method its scores are calibrated; `none` if they are not."""
        calibrator = calibrator_of(self.parts)
        return calibrator.method if calibrator else "none"
