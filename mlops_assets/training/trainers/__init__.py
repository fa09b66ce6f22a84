"""The family of trainers: one file each, one line here to join."""

from mlops_assets.errors import UnknownNameError
from mlops_assets.training.trainer import Trainer
from mlops_assets.training.trainers.lightgbm import LightGBMTrainer
from mlops_assets.training.trainers.network import NetworkTrainer
from mlops_assets.training.trainers.scikit_learn import SklearnTrainer

TRAINERS: dict[str, Trainer] = {
    "lightgbm": LightGBMTrainer(),
    "sklearn": SklearnTrainer(),
    "torch": NetworkTrainer(),
}


def trainer_named(name: str) -> Trainer:
    """Give the trainer called `name`.

    Raises:
        UnknownNameError: There is none.
    """
    if name not in TRAINERS:
        raise UnknownNameError("trainer", name, known=TRAINERS)
    return TRAINERS[name]
