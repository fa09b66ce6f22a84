"""One folder (or one folder and a database) where everything rests; each store is opened when first asked for.

    tables/        Delta tables, raw to features and sealed predictions
    bundles/       model bundles, addressed by digest
    releases/      what should be live, one small file per model
    online.sqlite  the newest feature rows of every key (or MLOPS_ONLINE_URL)
    predictions/   the endpoint's log, as written
    events/        business events, as recorded
    records/       the records that travelled between assets
    quality/       what was found in each batch: a record and a page per judgement
    checkpoints/   how far the fits have come that are under way
    yardsticks/    what the newest challenger of each model is judged beside
    studies/       the newest search for parameters of each model
    dossiers/      the evidence per model version
    evaluations/   the report per model version, as a page
    state.sqlite   audit log, approvals, retraining ledger, versions (or MLOPS_STATE_URL)
    mlflow.sqlite  runs and registry (or MLOPS_MLFLOW_URI), artefacts in mlartifacts/
    landing/       where batches land that replace or extend the archive's
    clock          the time of a replay; absent, time is the wall clock's

Nothing is made before it is needed.
"""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_assets.errors import StoreError
from mlops_assets.stores._atomic import write_file
from mlops_assets.stores.bundles import BundleStore
from mlops_assets.stores.checkpoints import CheckpointStore
from mlops_assets.stores.online import OnlineStore, open_online
from mlops_assets.stores.quality import QualityStore
from mlops_assets.stores.records import RecordStore
from mlops_assets.stores.releases import ReleaseStore
from mlops_assets.stores.studies import StudyStore
from mlops_assets.stores.tables import TableStore

if TYPE_CHECKING:
    from mlops_assets.stores.state import StateStore
    from mlops_assets.stores.tracking import Tracking

DEFAULT_HOME = ".mlops"


class Home:
    """The stores of one installation, below `root`; `settings` are environment-like overrides for what is elsewhere."""

    def __init__(self, root: str | Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.root = Path(root).absolute()
        self.settings = dict(settings or {})

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Home":
        """Open the home that `MLOPS_HOME` names, `.mlops` in the working folder if it names none."""
        return cls(environ.get("MLOPS_HOME") or DEFAULT_HOME, settings=environ)

    @cached_property
    def tables(self) -> TableStore:
        """Delta tables."""
        return TableStore(self.root / "tables")

    @cached_property
    def bundles(self) -> BundleStore:
        """Model bundles."""
        return BundleStore(self.root / "bundles")

    @cached_property
    def releases(self) -> ReleaseStore:
        """What should be live."""
        return ReleaseStore(self.root / "releases")

    @cached_property
    def online(self) -> OnlineStore:
        """The newest feature rows of every key."""
        return open_online(self.root, self.settings)

    @cached_property
    def records(self) -> RecordStore:
        """The records that travelled between assets."""
        return RecordStore(self.root / "records")

    @cached_property
    def checkpoints(self) -> CheckpointStore:
        """How far the fits have come that are under way."""
        return CheckpointStore(self.root / "checkpoints")

    @cached_property
    def yardsticks(self) -> CheckpointStore:
        """What challengers are judged beside, as far as it is made before them."""
        return CheckpointStore(self.root / "yardsticks")

    @cached_property
    def studies(self) -> StudyStore:
        """The newest search for parameters of each model."""
        return StudyStore(self.root / "studies")

    @cached_property
    def quality(self) -> QualityStore:
        """What was found in each batch."""
        return QualityStore(self.root / "quality")

    @cached_property
    def state(self) -> "StateStore":
        """Audit log, approvals, retraining ledger and model versions."""
        from mlops_assets.stores.state import StateStore  # SQLAlchemy takes 0.3 s to import; readers do without

        return StateStore(self.settings.get("MLOPS_STATE_URL") or f"sqlite:///{self.root / 'state.sqlite'}")

    @cached_property
    def tracking(self) -> "Tracking":
        """MLflow runs and registry."""
        from mlops_assets.stores.tracking import Tracking

        return Tracking(
            self.settings.get("MLOPS_MLFLOW_URI") or f"sqlite:///{self.root / 'mlflow.sqlite'}",
            artifact_root=self.root / "mlartifacts",
            ui_url=self.settings.get("MLOPS_MLFLOW_URL"),
        )

    @property
    def predictions(self) -> Path:
        """Where the endpoint writes its log."""
        return self.root / "predictions"

    @property
    def events(self) -> Path:
        """Where business events are recorded."""
        return self.root / "events"

    @property
    def dossiers(self) -> Path:
        """Where the evidence per model version is kept."""
        return self.root / "dossiers"

    def write_dossier(self, model: str, bundle_sha256: str, files: Mapping[str, bytes]) -> Path:
        """Keep the evidence for a version, and give its folder; written again, it is replaced file by file."""
        folder = self.dossiers / model / bundle_sha256
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_file(folder / name, data)
        return folder

    def report_path(self, model: str, bundle_sha256: str) -> Path:
        """Say where the page of a version's evaluation is kept."""
        return self.root / "evaluations" / model / bundle_sha256 / "report.html"

    def write_report(self, model: str, bundle_sha256: str, page: bytes) -> Path:
        """Keep the page of a version's evaluation, and give its path; written again, it is replaced."""
        path = self.report_path(model, bundle_sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, page)
        return path

    @property
    def landing(self) -> Path:
        """Where batches land."""
        return Path(self.settings.get("MLOPS_LANDING") or self.root / "landing")

    @property
    def fit_threads(self) -> int | None:
        """How many threads fit a model, as `MLOPS_FIT_THREADS` says; without it the trainer decides.

        Raises:
            StoreError: It says no number of threads.
        """
        said = self.settings.get("MLOPS_FIT_THREADS", "")
        if said and not (said.isascii() and said.isdigit() and int(said)):
            raise StoreError(
                f"MLOPS_FIT_THREADS is {said!r}, so nobody can tell how many threads a fit may take. Set it to a whole "
                "number from 1 on, or leave it out for one thread.",
                said=said,
            )
        return int(said) if said else None

    @property
    def endpoint_url(self) -> str | None:
        """Where the endpoint answers, if one was started with this home."""
        return self.settings.get("MLOPS_ENDPOINT_URL")
