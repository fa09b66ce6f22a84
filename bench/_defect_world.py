"""A model's life up to the endpoint, through the real steps, with one place after another where a defect can get in.

Six weeks of the shop are brought in, a first version is trained, judged and made live. Two weeks later the model is
trained again; that retraining is the trial. Whatever blocks there would have blocked the run in Dagster, whose assets
are shells around the same functions.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from bench import _defect_shop as shop
from mlops_assets.deployment import TARGETS
from mlops_assets.governance import gaps
from mlops_assets.orchestration import steps
from mlops_assets.orchestration.feature_table import FeatureTableDeclaration, refresh_view
from mlops_assets.orchestration.freshness import Inputs, stale
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.orchestration.steps.intake.ingesting import ingest, judge
from mlops_assets.orchestration.table_declaration import TableDeclaration
from mlops_assets.records import Approval, Dossier, Endpoint, EvaluationReport, ModelVersion, TrainingSet
from mlops_assets.serving.served_model import ServedModel
from mlops_assets.stores.home import Home
from mlops_assets.stores.releases import Release
from mlops_assets.validation import QualitySuite

NAME = "comes_back"
HISTORY, NEW = 42, 14  # days before the first version, and from it to the retraining
MODEL_FILES = {"features.py": shop.FEATURES_PY, "model.py": shop.MODEL_PY, "defs.yaml": shop.MODEL}
NIGHT = timedelta(hours=1)  # after midnight, when a day's batch is in


class Caught(Exception):  # noqa: N818
    """A check said no: at which stage, which one, and in which words."""

    def __init__(self, stage: str, check: str, words: str, *, review: bool = False) -> None:
        super().__init__(words)
        self.stage, self.check, self.words, self.review = stage, check, words, review


class Defect:
    """Something wrong, at the place where it would arise; a method that is not overridden leaves all as it is."""

    name: str
    what: str
    stopped: tuple[str, ...] = ()  # views that nobody computes any more

    def arriving(self, day: str, rows: pa.Table, chance: np.random.Generator) -> pa.Table | None:
        """Give the batch of a new day as it arrives; None if it does not."""
        return rows

    def clock(self, at: datetime) -> datetime:
        """Give the time at which the retraining runs."""
        return at

    def tables(self, text: str) -> str:
        """Give the declaration of the table and its contract."""
        return text

    def views(self, text: str) -> str:
        """Give the declarations of the views."""
        return text

    def files(self, files: dict[str, str]) -> dict[str, str]:
        """Give the files of the model's folder."""
        return files

    def stored(self, trial: "Trial") -> None:
        """Do something to the stores before the training set is made."""

    def joined(self, trial: "Trial", made: TrainingSet) -> TrainingSet:
        """Give the training set as the fit finds it."""
        return made

    def fitting(self) -> AbstractContextManager[Any]:
        """Give what holds while the model is fitted, such as another trainer."""
        return nullcontext()

    def fitted(self, trial: "Trial", version: ModelVersion) -> ModelVersion:
        """Give the version as the evaluation finds it."""
        return version

    def judged(self, trial: "Trial", report: EvaluationReport) -> EvaluationReport:
        """Give the report as the dossier finds it."""
        return report

    def documented(self, trial: "Trial", dossier: Dossier) -> Dossier:
        """Give the dossier as the approval finds it."""
        return dossier

    def approved(self, trial: "Trial", approval: Approval) -> Approval:
        """Give the approval as the deployment finds it."""
        return approval

    def loading(self) -> AbstractContextManager[Any]:
        """Give what holds in the process of the endpoint."""
        return nullcontext()


def at_night_after(day: int) -> datetime:
    """Give the time at which the batch of day number `day`, counted from 0, is in."""
    return datetime.combine(shop.FIRST, datetime.min.time(), UTC) + timedelta(days=day + 1) + NIGHT


class Trial:
    """One home, the declarations of the shop as a defect leaves them, and the steps of a retraining."""

    def __init__(self, root: Path, defect: Defect, *, seed: int = 0, files: Mapping[str, str] | None = None) -> None:
        self.root, self.defect, self.seed = root, defect, seed
        self.home = Home(root, settings={})
        vars(self.home)["tracking"] = _NoTracking()  # MLflow judges nothing, and takes as long as all the rest
        self._files = dict(files or MODEL_FILES)

    @cached_property
    def table(self) -> TableDeclaration:
        """The declared table."""
        return TableDeclaration.model_validate(yaml.safe_load(self.defect.tables(shop.TABLES)))

    @cached_property
    def views(self) -> list[FeatureTableDeclaration]:
        """The declared views."""
        return [FeatureTableDeclaration.model_validate(v) for v in yaml.safe_load_all(self.defect.views(shop.VIEWS))]

    @cached_property
    def folder(self) -> ModelFolder:
        """The model's folder, written anew."""
        path = self.root / "project" / NAME
        path.mkdir(parents=True, exist_ok=True)
        for name, text in self.defect.files(dict(self._files)).items():
            (path / name).write_text(text)
        return ModelFolder(path, ModelDeclaration.model_validate(yaml.safe_load((path / "defs.yaml").read_text())))

    def land(self, days: Sequence[str], *, changed: bool = True) -> list[str]:
        """Let days arrive; give those that did."""
        came = []
        for day in days:
            rows: pa.Table | None = shop.orders(day, seed=self.seed)
            if changed:
                rows = self.defect.arriving(day, rows, np.random.default_rng([9, *map(ord, day)]))
            if rows is not None:
                path = self.home.landing / "orders" / f"{day}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(rows, path)
                came.append(day)
        return came

    def bring_in(self, days: Sequence[str], *, at: datetime, suite: QualitySuite | None = None) -> None:
        """Ingest days, hold them against the contract, and compute the views.

        Raises:
            Caught: A batch is blocked, or all its bad rows are held.
        """
        came = ingest(self.table, self.home, days, folder=self.root, at=at)
        for check, found in (("structure", came.misfits), ("arrived", came.late), ("volume", came.odd)):
            if found:
                raise Caught("ingest", check, next(iter(found.values())))
        said = judge(self.table, self.home, days, suite, at=at)
        if said.blocked_by_suite:
            raise Caught("suite", "quality", next(iter(said.blocked_by_suite.values())))
        if said.blocked:
            raise Caught("contract", ", ".join(said.rules) or "contract", next(iter(said.blocked.values())))
        if said.refused_rows and self._only_right_rows(days):
            raise Caught("contract", ", ".join(said.rules), f"{said.refused_rows} rows are held, and no other is wrong")
        # Each night its day; all are written at once, and none is late, as of the first of them.
        in_time = datetime.fromisoformat(days[0]).replace(tzinfo=UTC) + timedelta(days=1) + NIGHT
        for view in self.views:
            if view.name not in self.defect.stopped:
                refresh_view(view, self.home, days if view.partitions else [None], at=in_time)

    def _only_right_rows(self, days: Sequence[str]) -> bool:
        """Tell whether everything that was let through is as it should have come."""
        for day in days:
            right = {tuple(row.items()) for row in shop.orders(day, seed=self.seed).to_pylist()}
            if any(
                tuple(row.items()) not in right
                for row in self.home.tables.read("validated/orders", partitions=[day]).to_pylist()
            ):
                return False
        return True

    def train(self, at: datetime) -> tuple[TrainingSet, ModelVersion]:
        """Make the training set and fit.

        Raises:
            Caught: A check of either blocks.
        """
        views = {view.name: (self.root, view) for view in self.views}
        promised = Inputs.declared({"orders": (self.root, self.table)}, views).of(self.folder.declaration)
        if old := stale(promised, self.home, at):
            raise Caught("training set", "fresh_data", next(iter(old.values())))
        made, leaks = steps.build_training_set(self.folder, self.home, cut_off=at)
        if leaks:
            raise Caught("training set", "leakage", leaks[0])
        least = self.folder.declaration.training.window.minimum_rows
        if made.train.rows < least:
            raise Caught("training set", "enough_rows", f"{made.train.rows} rows to learn from")
        self.training_set = made = self.defect.joined(self, made)
        with self.defect.fitting():
            version = steps.fit_model(self.folder, self.home, made, tags={}, requester="bench")
        if doubts := steps.unrepeatable(version):
            raise Caught("fit", "reproducible", "; ".join(doubts))
        return made, self.defect.fitted(self, version)

    def release(self, made: TrainingSet, version: ModelVersion, at: datetime) -> None:
        """Judge, document, approve and load a version as the endpoint does; then it is live.

        Raises:
            Caught: Any of these refuses.
        """
        report = steps.evaluate(self.folder, self.home, made, version, at=at)
        report = self.defect.judged(self, report)
        if report.verdict == "fail":
            raise Caught("evaluation", "promotion_gate", report.reasons[0])
        dossier, _ = steps.write_dossier(self.folder, self.home, made, report, at=at)
        if dossier.missing:
            raise Caught("dossier", "complete", f"missing: {', '.join(dossier.missing)}")
        dossier = self.defect.documented(self, dossier)
        approval = steps.decide_approval(self.folder, self.home, dossier, at=at, now=at)
        if not approval.granted:
            if dossier.review:
                raise Caught("evaluation", "promotion_gate", dossier.review[0], review=True)
            raise Caught("approval", "granted", approval.reason)
        approval = self.defect.approved(self, approval)
        with self.defect.loading():
            self._load(approval, at)
        if found := gaps(self.home.state.audit_entries()):
            raise Caught("deployment", "audit", f"{found[0].missing} missing before {found[0].entry.event}")

    def _load(self, approval: Approval, at: datetime) -> None:
        """Bring a version live as `deploy` and the endpoint's process do, without the process."""
        self.home.settings["MLOPS_ENDPOINT_URL"] = "http://in-this-process"
        with patch.dict(TARGETS, {"local": lambda *_, **__: _Endpoint(self.home)}):
            steps.deploy(self.folder, self.home, approval, at=at)


class _Endpoint:
    """Loads a release as the endpoint's process does, in this one."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def deploy(self, release: Release) -> Endpoint:
        parts = self.home.bundles.load(NAME, release.bundle_sha256)
        ServedModel(release, parts, self.home.online, max_instances=100)
        self.home.releases.put(release)
        return Endpoint(
            model=NAME,
            sha256=release.bundle_sha256,
            version=release.version,
            bundle_sha256=release.bundle_sha256,
            previous_bundle_sha256=release.previous_bundle_sha256,
            url="",
            generation=release.generation,
            live_at=release.at,
        )


class _NoTracking:
    """Takes the place of MLflow."""

    def log_training(self, *_: Any, **__: Any) -> tuple[None, None]:
        return None, None

    def __getattr__(self, _: str) -> Any:
        return lambda *args, **kwargs: None


def first_life(root: Path) -> Path:
    """Make a home with six weeks of orders and a first version live; give it."""
    trial, at = Trial(root, Defect()), at_night_after(HISTORY - 1)
    days = trial.land(shop.days(0, HISTORY))
    trial.bring_in(days, at=at)
    trial.release(*trial.train(at), at)
    return root


def two_weeks_later(root: Path, first: Path, *, seed: int = 0) -> Path:
    """Make a home in which the new days have come as they should."""
    shutil.copytree(first, root)
    trial, at = Trial(root, Defect(), seed=seed), at_night_after(HISTORY + NEW - 1)
    trial.bring_in(trial.land(shop.days(HISTORY, NEW)), at=at, suite=shop.suite())
    return root


def touches_what_comes_in(defect: Defect) -> bool:
    """Tell whether a defect changes what arrives or how it is brought in."""
    ways = ("arriving", "tables", "views", "clock", "stopped")
    return any(getattr(type(defect), way) is not getattr(Defect, way) for way in ways)


def retrain(
    defect: Defect, root: Path, *, first: Path, later: Path, seed: int = 0, files: Mapping[str, str] | None = None
) -> Caught | None:
    """Train again two weeks later with a defect in it; give what caught it, None if the version went live."""
    at = at_night_after(HISTORY + NEW - 1)
    shutil.copytree(first if touches_what_comes_in(defect) else later, root)
    trial, stage = Trial(root, defect, seed=seed, files=files), "ingest"
    try:
        at = defect.clock(at)
        if touches_what_comes_in(defect):
            trial.bring_in(trial.land(shop.days(HISTORY, NEW)), at=at, suite=shop.suite())
        defect.stored(trial)
        stage = "training set"
        trained = trial.train(at)
        stage = "evaluation"
        trial.release(*trained, at)
    except Caught as caught:
        return caught
    except ValidationError as error:
        return Caught("declaration", "definitions", str(error).replace("\n", " "))
    except Exception as error:  # whatever it is, it ends the run
        return Caught(_stage_of(error, stage), type(error).__name__, str(error))
    return None


def _stage_of(error: Exception, stage: str) -> str:
    """Tell from its traceback which step an error came from."""
    steps_of = {
        "ingest": "ingest",
        "refresh_view": "features",
        "build_training_set": "training set",
        "fit_model": "fit",
        "evaluate": "evaluation",
        "write_dossier": "dossier",
        "decide_approval": "approval",
        "_load": "load",
    }
    trace, found = error.__traceback__, stage
    while trace:
        found = steps_of.get(trace.tb_frame.f_code.co_name, found)
        trace = trace.tb_next
    return found
