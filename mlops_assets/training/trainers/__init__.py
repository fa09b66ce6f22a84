"""The family of trainers: one file each, one line here to join; and the one that a model brings along."""

from collections.abc import Mapping

from mlops_assets.errors import UnknownNameError
from mlops_assets.scoring import OWN_PART
from mlops_assets.training.trainer import Trainer
from mlops_assets.training.trainers.lightgbm import LightGBMTrainer
from mlops_assets.training.trainers.network import NetworkTrainer
from mlops_assets.training.trainers.own import OWN, OwnTrainer
from mlops_assets.training.trainers.scikit_learn import SklearnTrainer

__all__ = ["OWN", "TRAINERS", "trainer_named", "trainer_of"]

TRAINERS: dict[str, Trainer] = {
    "lightgbm": LightGBMTrainer(),
    "sklearn": SklearnTrainer(),
    "torch": NetworkTrainer(),
}


def trainer_named(name: str, *, own: str | None = None) -> Trainer:
    """Give the trainer called `name`; of `own`, the text of the `trainer.py` that it stands in.

    Raises:
        UnknownNameError: There is none.
        DeclarationError: The text is no trainer, or none was given.
    """
    if name == OWN:
        return OwnTrainer.read(own)
    if name not in TRAINERS:
        raise UnknownNameError("trainer", name, known=(*TRAINERS, OWN))
    return TRAINERS[name]


def trainer_of(name: str, parts: Mapping[str, bytes]) -> Trainer:
    """Give the trainer that made a model, one of its own from the parts of its bundle."""
    return trainer_named(name, own=parts[OWN_PART].decode() if OWN_PART in parts else None)
