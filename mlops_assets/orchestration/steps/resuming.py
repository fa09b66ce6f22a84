"""Where a fit whose process was killed goes on."""

from mlops_assets.digests import sha256_json
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.records import TrainingSet
from mlops_assets.stores.checkpoints import StoredCheckpoint
from mlops_assets.stores.home import Home
from mlops_assets.training import TrainingPolicy, library_versions, platform_facts


def checkpoint_of(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, policy: TrainingPolicy
) -> StoredCheckpoint:
    """Give the place for the progress of exactly this fit: of these rows and features, by this policy, these libraries.

    Had any of them changed since the fit was killed, going on would give a model that nobody can make again.
    """
    made_of = {
        "training_set": training_set.sha256,
        "spec": training_set.spec,
        "task": folder.declaration.task,
        "policy": policy.model_dump(mode="json"),
        "facts": library_versions() | platform_facts(),
    }
    return stores.checkpoints.of(folder.name, sha256_json(made_of))
