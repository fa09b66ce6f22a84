"""`kill -9` of trainers that save when it is time to: another process goes on, and ends with the same bytes."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from mlops_assets.digests import sha256_bytes, sha256_json
from mlops_assets.stores.checkpoints import EVERY_S, CheckpointStore
from mlops_assets.testing import made_up
from mlops_assets.training import TRAINERS
from mlops_assets_tests._processes import PROCESSES

LONG = {
    "torch": {"epochs": 20, "batch_size": 8, "dropout": 0.2},
    "sklearn": {"estimator": "RandomForestClassifier", "n_estimators": 150},
}


def fit(trainer: str, root: Path) -> None:
    """Fit one model, saving when the trainer asks for the first time, and leave its digest."""
    ticks = itertools.chain([0.0], itertools.repeat(EVERY_S))
    checkpoint = CheckpointStore(root / "checkpoints", clock=lambda: next(ticks)).of("m", "a")
    went_on = checkpoint.load() is not None
    data = made_up("binary")
    fitted = TRAINERS[trainer].fit(data, params=LONG[trainer], seed=7, checkpoint=checkpoint)
    digest = sha256_json({name: sha256_bytes(part) for name, part in fitted.parts.items()})
    (root / "digest").write_text(f"{digest} {np.float64(fitted.curves.get('train_loss', [0])[-1])!r} {went_on}")


@pytest.mark.slow
@pytest.mark.parametrize("trainer", LONG)
def test_what_another_process_ends_with_is_the_model_left_alone(trainer, tmp_path):
    """It is killed as soon as something was saved."""
    killed, calm = tmp_path / "killed", tmp_path / "calm"
    for place in (killed, calm):
        place.mkdir()
    process = PROCESSES.Process(target=fit, args=(trainer, killed))
    process.start()
    while process.is_alive() and not any((killed / "checkpoints" / "m").glob("[!.]*")):
        time.sleep(0.005)
    process.kill()
    process.join()

    for place in (killed, calm):
        again = PROCESSES.Process(target=fit, args=(trainer, place))
        again.start()
        again.join()

    ended, left_alone = ((place / "digest").read_text().split() for place in (killed, calm))
    assert process.exitcode == -9
    assert (ended[-1], left_alone[-1]) == ("True", "False")
    assert ended[:-1] == left_alone[:-1]
