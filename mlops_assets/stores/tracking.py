"""Runs, curves and named versions in MLflow, for people to look at; the audit log, not MLflow, is the evidence.

MLflow takes more than a second to import, so it is imported where it is first needed.
"""

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from mlops_assets.digests import sha256_bytes, sha256_parts
from mlops_assets.errors import StoreError, examples
from mlops_assets.records import TableVersion, Trial, Window
from mlops_assets.stores._atomic import checked_name, locked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run
    from mlflow.entities.model_registry import ModelVersion as RegisteredModelVersion

SQLITE: Final = "sqlite:///"
BUNDLE_FOLDER: Final = "bundle"  # where a run's artefacts hold the model's files
MODEL_FOLDER: Final = "model"  # and where those of MLflow's own form of it
DESCRIPTION_TAG: Final = "mlflow.note.content"  # what MLflow's page of a run or an experiment says first
MODEL_PAGES: Final = "workflowType=machine_learning"  # else MLflow opens its pages for chats, which are empty
DAGSTER_URL_TAG: Final = "dagster_run_url"  # where the run of Dagster that trained has its page
CONTEXT_TAG: Final = "mlflow.data.context"  # what MLflow's page says a data set was read for
BUNDLE_TAG: Final = "mlops.bundle_sha256"
PARENT_TAG: Final = "mlflow.parentRunId"  # MLflow's own name for it
TRIAL_TAG: Final = "mlops.trial"
MOST_METRICS: Final = 1000  # in one request, by MLflow's interface; params and tags: 100
MOST_PARAMS: Final = 100
DIGEST_LENGTH: Final = 36  # what MLflow's tables hold of a data set's digest; the whole one goes into a tag

Alias = Literal["champion", "challenger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A table version a training has read, what for, and which `part` of it, where it is not all."""

    version: TableVersion
    context: str
    part: Window | None = None


class Tracking:
    """MLflow at `uri`: a database (`sqlite:////folder/mlflow.sqlite`, `postgresql://…`) or a server (`http://…`).

    Args:
        uri: Where runs and registered versions rest. A SQLite file is made on first use.
        artifact_root: Where files rest when `uri` is a database; a server decides for itself.
        ui_url: Address of MLflow's pages, for links; without it there are none.
    """

    def __init__(self, uri: str, artifact_root: str | Path, ui_url: str | None = None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # MLflow reads it when it is imported
        self.uri = uri.replace("postgresql://", "postgresql+psycopg2://", 1)
        self._artifact_root = Path(artifact_root).absolute()
        self._ui_url = ui_url.rstrip("/") if ui_url else None
        self._known_client: MlflowClient | None = None

    def log_training(
        self,
        model: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[float]],
        tags: Mapping[str, str],
        datasets: Iterable["Read"],
        artifacts: Mapping[str, bytes],
        mlflow_model: Mapping[str, bytes] | None = None,
        about: str = "",
    ) -> tuple[str, str | None]:
        """Log one training as a finished run and register its bundle; give the run's id and the address of its page.

        A bundle is logged once: of a training that is done again, because it was killed, the first run is given. Two
        trainings of a model on one home are logged one after the other.

        Args:
            model: Names the experiment and the registered model.
            params: Resolved parameters.
            metrics: Numbers of the whole run.
            curves: Numbers per iteration, the first at step 0; under other names than `metrics`.
            tags: What leads from MLflow back to us, such as the Dagster run.
            datasets: The table versions that were read; they become the run's inputs, with their digests.
            artifacts: The parts of the model's bundle by name, as the bundle store keeps them.
            mlflow_model: The files of the same model as MLflow loads and serves it; what is registered then points at
                them, so that `models:/NAME@champion` can be served.
            about: What the model is for; the description of a new experiment and a new registered model.

        Raises:
            StoreError: MLflow could not be reached or refused; the run is left marked as failed.
        """
        if both := sorted(metrics.keys() & curves.keys()):
            raise StoreError(
                f"{examples(both)}: logged both as one number and as a curve, MLflow would mix them. Rename the curve.",
                names=both,
            )
        bundle_sha256 = sha256_parts({name: sha256_bytes(part) for name, part in artifacts.items()})
        tags = {**tags, BUNDLE_TAG: bundle_sha256}
        with self._refusals(), locked(self._artifact_root / f".{checked_name('model', model)}.lock"):
            client = self._client()
            experiment = self._experiment(client, model, about)
            end_killed_runs(client, [experiment])
            if logged := _logged_before(client, experiment, model, bundle_sha256):
                return logged.info.run_id, self._url(logged)
            run = client.create_run(experiment, tags=tags, run_name=f"{model} {bundle_sha256[:8]}")
            try:
                _log_numbers(client, run, params, metrics, curves)
                client.log_inputs(run.info.run_id, [_input(read) for read in datasets])
                _log_files(client, run, artifacts, BUNDLE_FOLDER)
                if mlflow_model:
                    _log_files(client, run, mlflow_model, MODEL_FOLDER)
                _register(client, run, model, tags, MODEL_FOLDER if mlflow_model else BUNDLE_FOLDER, about)
            except BaseException:
                client.set_terminated(run.info.run_id, status="FAILED")
                raise
            client.set_terminated(run.info.run_id, status="FINISHED")
        return run.info.run_id, self._url(run)

    def log_trials(self, run_id: str, trials: Sequence[Trial]) -> None:
        """Show what was tried before a training as runs below its own; each once, however often this is called."""
        if not trials:
            return
        with self._refusals():
            client = self._client()
            parent = client.get_run(run_id)
            below = client.search_runs([parent.info.experiment_id], f"tags.`{PARENT_TAG}` = '{run_id}'")
            logged = {run.data.tags.get(TRIAL_TAG) for run in below if run.info.status == "FINISHED"}
            for trial in trials:
                if str(trial.number) in logged:
                    continue
                tags = {PARENT_TAG: run_id, TRIAL_TAG: str(trial.number), "mlops.pruned": str(trial.pruned).lower()}
                run = client.create_run(parent.info.experiment_id, tags=tags, run_name=f"trial {trial.number}")
                numbers = {"validation_loss": trial.loss, "rounds": float(trial.rounds)}
                _log_numbers(client, run, trial.params, numbers, {})
                client.set_terminated(run.info.run_id, status="FINISHED")

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add what was found about a run later, such as its evaluation, to its page."""
        with self._refusals():
            client = self._client()
            _log_numbers(client, client.get_run(run_id), {}, metrics, {})

    def log_report(self, run_id: str, headline: str, files: Mapping[str, bytes]) -> None:
        """Say of a run and its version what was found of the model, and add files; done again, it replaces them."""
        with self._refusals():
            client = self._client()
            run = client.get_run(run_id)
            _log_files(client, run, files, None)
            way_back = run.data.tags.get(DAGSTER_URL_TAG)
            told = f"{headline}\n\n[Its run in Dagster]({way_back})" if way_back else headline
            client.set_tag(run_id, DESCRIPTION_TAG, told)
            for version in client.search_model_versions(f"run_id = '{run_id}'"):
                client.update_model_version(version.name, version.version, description=told)

    def set_alias(self, model: str, run_id: str, version_sha: str, alias: Alias) -> None:
        """Let `alias` name the version the run registered; a champion is no challenger any more.

        Raises:
            StoreError: The run registered no version, or one of another bundle than `version_sha`.
        """
        with self._refusals():
            client = self._client()
            version = _version_of_run(client, model, run_id)
            if version is None or version.tags.get(BUNDLE_TAG) != version_sha:
                found = version.tags.get(BUNDLE_TAG, "no digest") if version else "no version"
                raise StoreError(
                    f"MLflow run {run_id} holds {found}, not the bundle {version_sha} of {model!r}. An alias on it "
                    "would name a model nobody asked for. Train again, so that run and bundle belong together.",
                    model=model,
                    run_id=run_id,
                    found=found,
                )
            client.set_registered_model_alias(model, alias, version.version)
            if alias == "champion" and self.alias_of(model, "challenger") == version_sha:
                client.delete_registered_model_alias(model, "challenger")

    def alias_of(self, model: str, alias: Alias) -> str | None:
        """Give the digest of the bundle that `alias` names; None if it names nothing yet."""
        from mlflow.exceptions import MlflowException

        with self._refusals():
            client = self._client()
            try:
                version = client.get_model_version_by_alias(model, alias)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
            return str(version.tags[BUNDLE_TAG])

    def _client(self) -> "MlflowClient":
        if self._known_client is None:
            from mlflow import MlflowClient

            make_database(self.uri, self._artifact_root)
            self._known_client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        return self._known_client

    def _experiment(self, client: "MlflowClient", model: str, about: str) -> str:
        from mlflow.exceptions import MlflowException

        served = self.uri.startswith("http")
        if found := client.get_experiment_by_name(model):
            return str(found.experiment_id)
        try:
            place = None if served else (self._artifact_root / model).as_uri()
            tags = {DESCRIPTION_TAG: about} if about else {}
            return str(client.create_experiment(model, artifact_location=place, tags=tags))
        except MlflowException as error:
            if error.error_code == "RESOURCE_ALREADY_EXISTS" and (found := client.get_experiment_by_name(model)):
                return str(found.experiment_id)  # made by another process since we looked
            raise

    def _url(self, run: "Run") -> str | None:
        if self._ui_url is None:
            return None
        return f"{self._ui_url}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?{MODEL_PAGES}"

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise StoreError(
                f"MLflow at {_without_password(self.uri)} refused: {error}. Runs are looked up there, so "
                "no training is done without its entry. Start the server or free the database or disk, then try again.",
                uri=_without_password(self.uri),
            ) from error


def make_database(uri: str, artifact_root: str | Path) -> None:
    """Make MLflow's tables at `uri` if that is a SQLite file and not there yet; others who want them wait.

    MLflow goes through its whole history of some forty steps, and one that was killed between two of them leaves tables
    that it can never open again. So they are made in a file aside, which is put in place when it is whole.
    """
    if not uri.startswith(SQLITE):
        return
    file = Path(uri.removeprefix(SQLITE))
    for noisy in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with locked(Path(f"{file}.lock")):
        if file.exists():
            return
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as aside:
            from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

            made = Path(aside, file.name)
            store = SqlAlchemyStore(f"{SQLITE}{made}", str(artifact_root))  # type: ignore[no-untyped-call]
            store.engine.dispose()
            made.rename(file)


def end_killed_runs(client: "MlflowClient", experiments: Sequence[str] | None = None) -> None:
    """End runs that stand as running because the process that logged them was killed; of all models unless told.

    Logging takes seconds, and on a home one training at a time is logged for a model. A run that is being logged all
    the same, from another host, says itself how it ended when it does.
    """
    among = [found.experiment_id for found in client.search_experiments()] if experiments is None else experiments
    for run in client.search_runs(list(among), "attributes.status = 'RUNNING'"):
        ours = BUNDLE_TAG in run.data.tags or TRIAL_TAG in run.data.tags
        if ours:  # people may log here as they please
            whole = client.search_model_versions(f"run_id = '{run.info.run_id}'")  # registered last
            client.set_terminated(run.info.run_id, status="FINISHED" if whole else "KILLED")


def _logged_before(client: "MlflowClient", experiment: str, model: str, bundle_sha256: str) -> "Run | None":
    """Find the run a bundle was logged in whole."""
    for run in client.search_runs([experiment], f"tags.`{BUNDLE_TAG}` = '{bundle_sha256}'"):
        if _version_of_run(client, model, run.info.run_id):  # the last thing that is logged
            return run
    return None


def _log_numbers(
    client: "MlflowClient",
    run: "Run",
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    curves: Mapping[str, Sequence[float]],
) -> None:
    from mlflow.entities import Metric, Param

    at = run.info.start_time
    numbers = [Metric(name, float(value), at, 0) for name, value in metrics.items()]
    for name, values in curves.items():
        numbers += [Metric(name, float(value), at, step) for step, value in enumerate(values)]
    choices = [Param(name, str(value)) for name, value in params.items()]
    for start in range(0, len(numbers), MOST_METRICS):
        client.log_batch(run.info.run_id, metrics=numbers[start : start + MOST_METRICS])
    for start in range(0, len(choices), MOST_PARAMS):
        client.log_batch(run.info.run_id, params=choices[start : start + MOST_PARAMS])


def _input(read: Read) -> "DatasetInput":
    """Say which table version was read, in MLflow's words for a data set; it knows no parts, so each has its name."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    version, part = read.version, read.part
    columns = [{"name": column.name, "type": column.dtype} for column in version.columns]
    source: dict[str, object] = {"table": version.table, "version": version.version}
    profile: dict[str, object] = {"rows": version.rows}
    if part:
        span = {"from": part.start.isoformat(), "to": part.end.isoformat()}
        source, profile = source | span, span | {"rows": part.rows, "mean of the label": part.label_mean}
    return DatasetInput(
        Dataset(
            name=f"{version.table} ({read.context})" if part else version.table,
            digest=version.sha256[:DIGEST_LENGTH],
            source_type="delta",
            source=json.dumps(source),
            schema=json.dumps({"columns": columns}) if columns else None,
            profile=json.dumps(profile),
        ),
        [
            InputTag(CONTEXT_TAG, read.context),
            InputTag("mlops.sha256", version.sha256),
            InputTag("mlops.version", str(version.version)),
        ],
    )


def _log_files(client: "MlflowClient", run: "Run", artifacts: Mapping[str, bytes], below: str | None) -> None:
    with tempfile.TemporaryDirectory(prefix="mlops-bundle-") as folder:
        for name, part in artifacts.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(part)
        client.log_artifacts(run.info.run_id, folder, below)


def _register(client: "MlflowClient", run: "Run", model: str, tags: Mapping[str, str], folder: str, about: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(model, description=about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{run.info.artifact_uri}/{folder}"
    client.create_model_version(model, source=source, run_id=run.info.run_id, tags=dict(tags))


def _version_of_run(client: "MlflowClient", model: str, run_id: str) -> "RegisteredModelVersion | None":
    found = client.search_model_versions(f"name = '{model}' and run_id = '{run_id}'")
    return found[0] if found else None


def _without_password(uri: str) -> str:
    scheme, mark, rest = uri.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"
