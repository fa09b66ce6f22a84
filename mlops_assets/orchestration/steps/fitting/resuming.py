"""Where a fit whose process was killed goes on."""

from mlops_assets.digests import sha256_json
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.records import TrainingSet
from mlops_assets.stores.checkpoints import StoredCheckpoint
from mlops_assets.stores.home import Home
from mlops_assets.training import TrainingPolicy, library_versions, platform_facts


def fit_sha256(folder: ModelFolder, training_set: TrainingSet, policy: TrainingPolicy) -> str:
    """Digest all that a fit is made of: rows and features, the policy, these libraries and this platform.

    Had any of them changed since a fit was killed, going on would give a model that nobody can make again.
    """
    made_of = {
        "training_set": training_set.sha256,
        "spec": training_set.spec,
        "task": folder.declaration.task,
        "policy": policy.model_dump(mode="json"),
        "trainer": folder.trainer_source,
        "facts": library_versions(folder.trainer_needs) | platform_facts(),
    }
    return sha256_json(made_of)


def checkpoint_of(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, policy: TrainingPolicy
) -> StoredCheckpoint:
    """Give the place for the progress of exactly this fit."""
    return stores.checkpoints.of(folder.name, fit_sha256(folder, training_set, policy))
