"""`kill -9` of a training at 100 random moments: it goes on, and ends with the model of one that was left in peace.

The same trainings are done at two places. At one of them each process is killed somewhere between its first segment of
rounds and its last word to MLflow, and started again, as Dagster does. At the other nothing happens.
"""

import logging
import os
import random
import shutil
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import yaml

from mlops_assets.orchestration import steps
from mlops_assets.orchestration.model_declaration import ModelDeclaration, ModelFolder
from mlops_assets.records import TrainingSet
from mlops_assets.stores.home import Home
from mlops_assets_tests._processes import PROCESSES
from mlops_assets_tests._shop import MODEL, MODEL_YAML, PACKAGE, grown, no_settings, shop_project

__all__ = ["grown", "no_settings", "shop_project"]

KILLS = int(os.environ.get("MLOPS_TEST_KILLS", "100"))
KILLS_EACH = 30  # of one training at most; then it is left in peace, and the next has another seed
SEED = int(os.environ.get("MLOPS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
PARAMS = {"num_iterations": 320, "checkpoint_rounds": 8, "num_leaves": 15, "min_data_in_leaf": 5, "learning_rate": 0.02}
LOG = logging.getLogger(__name__)


def train(project: Path, home: Path, seed: int) -> None:
    """Fit one model, from a training set that is there to the last word to MLflow."""
    declared = ModelDeclaration.model_validate(yaml.safe_load(MODEL_YAML)["attributes"])
    training = declared.training.model_copy(
        update={"params": PARAMS, "seed": seed, "validation_days": 5 * (seed % 2), "patience": 320}
    )
    folder = ModelFolder(project / PACKAGE / "defs" / MODEL, declared.model_copy(update={"training": training}))
    stores = Home(home, settings={})
    made = stores.records.get((MODEL, "training_set"), None, TrainingSet)
    steps.fit_model(folder, stores, made, tags={}, requester="test")


@dataclass
class Lives:
    """The place where processes are killed, and the calm one beside it."""

    project: Path
    killed: Path
    calm: Path
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    takes_s: float = 0.0
    cut_off: int = 0
    went_on: int = 0
    trainings: int = 0

    def start(self, home: Path, seed: int) -> ForkServerProcess:
        process = PROCESSES.Process(target=train, args=(self.project, home, seed))
        process.start()
        return process

    def run(self, home: Path, seed: int) -> None:
        """Train to the end."""
        began = time.monotonic()
        process = self.start(home, seed)
        process.join()
        assert process.exitcode == 0
        if home == self.calm:
            self.takes_s = time.monotonic() - began

    def run_and_kill(self, seed: int) -> bool:
        """Begin to train, or go on; give whether the kill came before the end."""
        process = self.start(self.killed, seed)
        time.sleep(self.chance.uniform(0, self.takes_s / 4))
        process.kill()
        process.join()
        self.cut_off += process.exitcode != 0
        self.went_on += any((self.killed / "checkpoints" / MODEL).glob("[!.]*"))
        return process.exitcode != 0


@pytest.fixture(scope="module")
def lives(shop_project, grown, tmp_path_factory) -> Lives:
    """Both places after all trainings."""
    root = tmp_path_factory.mktemp("lives")
    lives = Lives(shop_project, *(Path(shutil.copytree(grown, root / place)) for place in ("killed", "calm")))
    while lives.cut_off < KILLS:
        lives.run(lives.calm, lives.trainings)
        for _ in range(KILLS_EACH):
            if lives.cut_off >= KILLS or not lives.run_and_kill(lives.trainings):
                break
        lives.run(lives.killed, lives.trainings)
        lives.trainings += 1
    return lives


def orphans(home: Path) -> list[str]:
    client = Home(home, settings={}).tracking._client()
    experiment = client.get_experiment_by_name(MODEL).experiment_id
    return [run.info.run_id for run in client.search_runs([experiment], "attributes.status = 'RUNNING'")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_models_are_those_of_trainings_left_in_peace(lives):
    """Every bundle, by its digest; and some kills did come in the midst of a fit."""
    killed, calm = (Home(home, settings={}).bundles.list(MODEL) for home in (lives.killed, lives.calm))

    LOG.warning("MLOPS_TEST_SEED=%d: %d kills, %d left a checkpoint", SEED, lives.cut_off, lives.went_on)
    assert killed == calm, f"MLOPS_TEST_SEED={SEED}"
    assert len(calm) == lives.trainings + 1  # and the one that was there
    assert lives.went_on > KILLS // 4


@pytest.mark.slow
def test_no_run_in_mlflow_stays_running_and_each_model_has_one(lives):
    """What was cut off while it was logged is marked as killed."""
    client = Home(lives.killed, settings={}).tracking._client()
    versions = client.search_model_versions(f"name = '{MODEL}'")

    assert orphans(lives.killed) == []
    assert sorted(version.tags["mlops.bundle_sha256"] for version in versions) == list(
        Home(lives.killed, settings={}).bundles.list(MODEL)
    )
    assert {client.get_run(version.run_id).info.status for version in versions} == {"FINISHED"}


@pytest.mark.slow
def test_no_checkpoint_outlives_its_model(lives):
    """Nothing is left to go on from."""
    assert not list((lives.killed / "checkpoints" / MODEL).iterdir())
