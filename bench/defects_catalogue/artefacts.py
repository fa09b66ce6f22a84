"""Bundles that are not what was fitted."""

import json
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from bench._defect_world import NAME, Defect, Trial
from mlops_assets.records import Approval, ModelVersion
from mlops_assets.serving.predictor import NativeBooster


class _OnDisk(Defect):
    """Something happens to a file of the bundle after it was judged and approved."""

    def approved(self, trial: Trial, approval: Approval) -> Approval:
        self.spoil(trial.home.bundles.path(NAME, approval.model_version.sha256))
        return approval

    def spoil(self, path: Any) -> None:
        """Do it."""


class FlippedByte(_OnDisk):
    name = "corrupted bundle"
    what = "one byte of the model's text flips on the disk"

    def spoil(self, path: Any) -> None:
        file = path / "model.txt"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)


class TruncatedModel(_OnDisk):
    name = "truncated bundle"
    what = "the copy of the model's text ends in the middle"

    def spoil(self, path: Any) -> None:
        file = path / "model.txt"
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


class MissingPart(_OnDisk):
    name = "bundle without its features"
    what = "features.py was not copied"

    def spoil(self, path: Any) -> None:
        (path / "features.py").unlink()


class EditedFeatures(_OnDisk):
    name = "features edited in place"
    what = "somebody mends a feature in the released bundle"

    def spoil(self, path: Any) -> None:
        file = path / "features.py"
        file.write_text(file.read_text().replace("log1p(amount)", "log1p(amount + 1)"))


class _SavedAgain(Defect):
    """A bundle is put together again with something else in it, under a digest that fits."""

    part = ""

    def fitted(self, trial: Trial, version: ModelVersion) -> ModelVersion:
        parts = trial.home.bundles.load(NAME, version.sha256)
        parts[self.part] = self.other(parts[self.part], trial)
        sha256 = trial.home.bundles.save(NAME, parts)
        trial.home.state.register(NAME, sha256, trial.home.state.versions(NAME)[-1].record_json)
        other = replace(version, sha256=sha256)
        trial.home.records.put(("versions", NAME), sha256, other)
        return other

    def other(self, part: bytes, trial: Trial) -> bytes:
        """Give the other bytes."""
        raise NotImplementedError


class OtherFeatures(_SavedAgain):
    name = "features.py differs from the spec"
    what = "a build packs the features of the newest commit beside the model and spec of an older one"
    part = "features.py"

    def other(self, part: bytes, trial: Trial) -> bytes:
        return part.replace(b"log1p(amount)", b"sqrt(amount)")


class GoldenAltered(_SavedAgain):
    name = "golden rows altered"
    what = "the scores that a loaded model must give are another model's"
    part = "golden.json"

    def other(self, part: bytes, trial: Trial) -> bytes:
        golden = json.loads(part)
        golden["scores"] = [min(1.0, score + 0.01) for score in golden["scores"]]
        return json.dumps(golden, sort_keys=True).encode()


class LevelsReordered(_SavedAgain):
    name = "category levels in another order"
    what = "the spec lists the levels of a category in the order of another day, so codes mean other kinds"
    part = "spec.json"

    def other(self, part: bytes, trial: Trial) -> bytes:
        spec = json.loads(part)
        for feature in spec["features"]:
            if feature["name"] == "kind":
                feature["levels"] = feature["levels"][::-1]
        return json.dumps(spec, sort_keys=True).encode()


class AnotherModel(_SavedAgain):
    name = "model of another version"
    what = "the bundle holds the text of the champion with the spec and golden rows of the challenger"
    part = "model.txt"

    def other(self, part: bytes, trial: Trial) -> bytes:
        release = trial.home.releases.current(NAME)
        assert release
        return trial.home.bundles.load(NAME, release.bundle_sha256)["model.txt"]


class NaNOutput(_SavedAgain):
    name = "scores that are no numbers"
    what = "an export writes NaN for the leaves of a tree"
    part = "model.txt"

    def other(self, part: bytes, trial: Trial) -> bytes:
        lines = part.split(b"\n")
        at = next(n for n, line in enumerate(lines) if line.startswith(b"leaf_value="))
        nothing = b"leaf_value=" + b" ".join([b"nan"] * (lines[at].count(b" ") + 1))
        sizes = next(n for n, line in enumerate(lines) if line.startswith(b"tree_sizes="))
        first, *others = lines[sizes].removeprefix(b"tree_sizes=").split(b" ")
        shorter = int(first) - len(lines[at]) + len(nothing)
        lines[sizes] = b"tree_sizes=" + b" ".join([str(shorter).encode(), *others])
        lines[at] = nothing
        return b"\n".join(lines)


class OtherLibrary(Defect):
    name = "another library in the endpoint"
    what = "the endpoint's image has another LightGBM, whose scores differ in the ninth digit"

    def loading(self) -> AbstractContextManager[Any]:
        right = NativeBooster.score
        return patch.object(NativeBooster, "score", lambda self, vectors: right(self, vectors) * (1 + 1e-9))


class NoOnlineStore(Defect):
    name = "online store of another shape"
    what = "the endpoint's online store holds no view of customers"

    def approved(self, trial: Trial, approval: Approval) -> Approval:
        for file in trial.home.root.glob("online.sqlite*"):
            file.unlink()
        vars(trial.home).pop("online", None)
        return approval
