"""Parameters that are searched for before a fit, and what was tried."""

from dataclasses import replace

from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.fitting.resuming import fit_sha256
from mlops_assets.records import TrainingSet, Trial
from mlops_assets.stores.home import Home
from mlops_assets.training import TrainingData, TrainingPolicy, tune


def tuned(
    folder: ModelFolder, stores: Home, training_set: TrainingSet, policy: TrainingPolicy, data: TrainingData
) -> tuple[ModelFolder, tuple[Trial, ...]]:
    """Give the folder as if the best parameters found on `data` had been declared, and all that were tried.

    A folder that declares no tuning is given back as it is. What goes on record with the version is what was found, so
    that nobody has to search to make the version again.
    """
    if policy.tuning is None:
        return folder, ()
    key = fit_sha256(folder, training_set, policy)
    with stores.studies.opened(folder.name, key) as storage:
        found, trials = tune(
            policy, data, own=folder.trainer_source, storage=storage, study=key, threads=stores.fit_threads
        )
    return replace(folder, declaration=folder.declaration.model_copy(update={"training": found})), trials
