"""A version fitted again from its record, compared to the last byte, and what differs told in words.

Nothing is registered, nothing comes live: what is made is hashed and forgotten. Today's folder is not looked at, for
the recipe kept with the version says what stood in it then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa

from mlops_assets.digests import sha256_bytes, sha256_parts
from mlops_assets.errors import GovernanceError, MlopsError, UnknownNameError, examples
from mlops_assets.features import FeatureModule, FeaturePlan, build_spec
from mlops_assets.features.columns import as_arrays
from mlops_assets.governance import Event
from mlops_assets.orchestration.model_declaration import ModelFolder
from mlops_assets.orchestration.steps.archive.row_differences import first_difference
from mlops_assets.orchestration.steps.datasets.training_sets import TRAIN, parts_of, rebuild_training_set
from mlops_assets.orchestration.steps.datasets.vectorizing import vectorized
from mlops_assets.orchestration.steps.fitting.learning import bundle_of, profile_of
from mlops_assets.orchestration.steps.fitting.recipes import circumstances, folder_as_recorded, kept_recipe
from mlops_assets.records import FeatureVectorSpec, ModelVersion, Recipe, Reproduction, ReproductionLevel, TrainingSet
from mlops_assets.stores.history import history, version_at
from mlops_assets.stores.home import Home
from mlops_assets.stores.tables import TableNotFoundError, stored_digest
from mlops_assets.training import Fitted, fit
from mlops_assets.training.reproducibility import (
    LIBRARY,
    MACHINE,
    NOT_EXACT,
    PART,
    missing_facts,
    recipe_sha256,
    reproducibility_record,
)

THREADS = (1, 2, 4)


@dataclass
class _Found:
    """What comes to light while a version is made again."""

    causes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fits: dict[int, dict[str, str]] = field(default_factory=dict)


def reproduce(
    folder: Path,
    stores: Home,
    *,
    number: int | None = None,
    threads: Sequence[int] = THREADS,
    at: datetime,
    by: str,
) -> Reproduction:
    """Fit a version again from its record, compare each part of its bundle, and put the outcome on record.

    Args:
        folder: The model's; only its name counts, and which code stands around it. It need not be there any more.
        stores: Where its versions and their tables rest.
        number: The version; by default the one that is live, or the newest if none is.
        threads: Numbers of threads to fit on, one fit each; where what went in differs already, the first is enough.
        at: The time to put on record.
        by: Who asks.

    Raises:
        UnknownNameError: There is no such version.
        GovernanceError: There is none yet.
    """
    version, made = _version(stores, folder.name, number)
    record = version.reproducibility
    libraries = [name.removeprefix(LIBRARY) for name in record if name.startswith(LIBRARY)]
    here = circumstances(folder, also=libraries)
    missing, recipe = missing_facts(record), _recipe(stores, version)
    found = _Found()
    if NOT_EXACT in record:
        found.causes.append(f"{record[NOT_EXACT]} So it is not tried.")
    elif missing or recipe is None:
        found.causes.append(
            f"{version.model} version {version.version} cannot be made again from its record, which lacks "
            f"{examples(missing) or 'its recipe'}. Train a new version; it will have all of it."
        )
    else:
        try:
            _fit_again(recipe, stores, version, made, found, threads=threads)
        except MlopsError as error:
            found.causes.append(f"It could not be made again: {error}")
    outcome = _outcome(version, found, at=at, missing=missing or (() if recipe else ("recipe",)), here=here)
    _keep(stores, version, outcome, by=by)
    return outcome


def _version(stores: Home, model: str, number: int | None) -> tuple[ModelVersion, TrainingSet]:
    known = {version.version: version for version in stores.state.versions(model)}
    if number is None and (release := stores.releases.current(model)):
        number = stores.state.version_of(model, release.bundle_sha256)
    if not known:
        raise GovernanceError(
            f"{model} has no version yet, so there is nothing to reproduce. "
            f"Ask for one with `mlops train {model} --reason …`.",
            model=model,
        )
    number = max(known) if number is None else number
    if number not in known:
        raise UnknownNameError("model version", f"{model}@{number}", known=[f"{model}@{each}" for each in known])
    registered = known[number]
    version = stores.records.get(("versions", model), registered.bundle_sha256, ModelVersion)
    return version, msgspec.json.decode(registered.record_json, type=TrainingSet)


def _recipe(stores: Home, version: ModelVersion) -> Recipe | None:
    sha256 = version.reproducibility.get("recipe_sha256")
    return kept_recipe(stores, version.model, sha256) if sha256 else None


# --- making it again ------------------------------------------------------------------------------


def _fit_again(
    recipe: Recipe,
    stores: Home,
    version: ModelVersion,
    made: TrainingSet,
    found: _Found,
    *,
    threads: Sequence[int],
) -> None:
    """Join the rows, freeze the vector and fit, as on record; `found` takes what differs on the way."""
    record, folder = version.reproducibility, folder_as_recorded(recipe)
    if sha256_parts(_parts(record)) != version.sha256:
        found.causes.append("The record was changed: the digests of its parts are not those of the bundle.")
    if recipe_sha256(recipe) != record["recipe_sha256"]:
        found.causes.append("The recipe kept with the version (its declaration and its Python files) was changed.")
    for name, text in (("features", recipe.features), ("model", recipe.model_py), ("trainer", recipe.trainer_py)):
        if text is not None and sha256_bytes(text.encode()) != record.get(f"{name}_sha256"):
            found.causes.append(f"{name}.py is not the code on record.")
    rows = _rows(folder, stores, made, found)
    if rows is None:
        return
    module = FeatureModule.load(folder.features_source, name=folder.name)
    plan = FeaturePlan(module, made.spec.views)
    spec = build_spec(module, plan.views, as_arrays(parts_of(rows)[TRAIN], plan.inputs))
    found.causes += _differing_vectors(made.spec, spec)
    again = replace(made, spec=spec, sha256=stored_digest(rows, table=made.table), rows=rows.num_rows)
    learnt = vectorized(folder, again, [rows])
    profile = profile_of(again, learnt)
    for count in threads[:1] if found.causes else threads:
        fitted = fit(folder.policy, learnt.data, own=folder.trainer_source, threads=count)
        if not found.fits:
            found.causes += _differing_params(version, fitted.params)
        parts = bundle_of(folder, again, learnt, fitted, profile)
        if not found.fits and not found.causes:
            found.causes += _untrue(record, again, fitted, parts, learnt.sha256, recipe)
        found.fits[count] = {name: sha256_bytes(data) for name, data in parts.items()}


def _rows(folder: ModelFolder, stores: Home, made: TrainingSet, found: _Found) -> pa.Table | None:
    """Join the training set anew, or take the copy that is kept where a table it was joined from is gone."""
    read = [(made.table, made.version), *((source.table, source.version) for source in made.sources)]
    kept = {(table, number): _is_kept(stores, table, number) for table, number in read}
    gone = [f"{table} version {number}" for (table, number), there in kept.items() if not there]
    there = [f"{table} version {number}" for (table, number), there in kept.items() if there]
    if all(kept[each] for each in read[1:]):
        rows = rebuild_training_set(folder, stores, made, features_source=folder.features_source)
        if stored_digest(rows, table=made.table) != made.sha256:
            found.causes += _differing_rows(folder, stores, made, rows, compare=kept[read[0]])
        return rows
    if not kept[read[0]]:
        found.causes.append(
            f"The rows are gone: retention, or somebody, has deleted {', '.join(gone)}. Kept is "
            f"{', '.join(there) or 'none of its tables'}, which is not enough. A hold placed in time (`mlops hold`) "
            "keeps all of them."
        )
        return None
    rows = stores.tables.read(made.table, version=made.version)
    found.notes.append(
        f"Rows were taken from {made.table} version {made.version} and not joined anew, for {', '.join(gone)} has been "
        f"deleted; kept is {', '.join(there)}."
    )
    if stored_digest(rows, table=made.table) != made.sha256:
        found.causes.append(f"Rows of {made.table} version {made.version} were changed after they were written.")
    return rows


def _is_kept(stores: Home, table: str, number: int) -> bool:
    try:
        return version_at(history(stores.tables, table), number).readable
    except TableNotFoundError:
        return False


# --- telling what differs -------------------------------------------------------------------------


def _differing_rows(
    folder: ModelFolder, stores: Home, made: TrainingSet, rows: pa.Table, *, compare: bool
) -> list[str]:
    replaced = [
        f"{source.table} version {source.version} is another table than on record."
        for source in made.sources
        if stores.tables.version(source.table, source.version).sha256 != source.sha256
    ]
    kept = stores.tables.read(made.table, version=made.version) if compare else None
    if kept is None or stored_digest(kept, table=made.table) != made.sha256:
        why = "was changed as well" if kept is not None else "is gone"
        return [*replaced, f"Rows differ from those on record; {made.table}, which would tell where, {why}."]
    about = folder.declaration.decisions
    tables = {feature.name: f"features/{view.name}" for view in made.spec.views for feature in view.features}
    where = first_difference(kept, rows, key=about.key, tables=tables, otherwise=f"validated/{about.table}")
    return [*replaced, where]


def _differing_vectors(recorded: FeatureVectorSpec, now: FeatureVectorSpec) -> list[str]:
    if [feature.name for feature in recorded.features] != [feature.name for feature in now.features]:
        return ["The features, or their order, are others than on record."]
    return [
        f"The categories of {before.name!r} are {'ordered otherwise' if same else 'others'}: "
        f"{examples(before.levels or ())} on record, {examples(after.levels or ())} now."
        for before, after in zip(recorded.features, now.features, strict=True)
        if before.levels != after.levels
        for same in [sorted(before.levels or ()) == sorted(after.levels or ())]
    ]


def _differing_params(version: ModelVersion, now: Mapping[str, object]) -> list[str]:
    before = version.params
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if "seed" in changed:  # all others are derived from it
        changed = ["seed", *(name for name in changed if not name.endswith("seed"))]
    return [f"{name} is {before.get(name)!r} on record, {now.get(name)!r} now." for name in changed]


def _untrue(
    record: Mapping[str, str],
    made: TrainingSet,
    fitted: Fitted,
    parts: Mapping[str, bytes],
    rows: Mapping[str, str],
    recipe: Recipe,
) -> list[str]:
    """Tell which facts on record are not those of a fit whose rows, code and parameters are as they were."""
    now = reproducibility_record(fitted, training_set=made, rows=rows, recipe=recipe, parts=parts, circumstances={})
    return [
        f"The record was changed: {name} is {record.get(name)} there, and {fact} of what it was made of."
        for name, fact in now.items()
        if record.get(name) != fact and not name.startswith(PART)
    ]


def _elsewhere(record: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Say which circumstances are others here than on record."""
    names = [name for name in {**record, **here} if name in here or name.startswith(LIBRARY)]
    return [
        f"{name.replace(LIBRARY, 'library ')}: {record.get(name, 'not installed')} on record, "
        f"{here.get(name, 'not installed')} here"
        for name in names
        if record.get(name) != here.get(name)
    ]


# --- the outcome ----------------------------------------------------------------------------------


def _outcome(
    version: ModelVersion, found: _Found, *, at: datetime, missing: Iterable[str], here: Mapping[str, str]
) -> Reproduction:
    record = version.reproducibility
    recorded = _parts(record)
    parts = sorted(
        {name for fit in found.fits.values() for name in recorded | fit if recorded.get(name) != fit.get(name)}
    )
    elsewhere = _elsewhere(record, here)
    equal = bool(found.fits) and not parts
    if parts and not found.causes:
        found.causes.append(_without_a_cause(found.fits, parts, elsewhere))
    return Reproduction(
        model=version.model,
        version=version.version,
        sha256=version.sha256,
        at=at,
        level=_level(found, equal=equal, missing=tuple(missing), moved=any(record.get(m) != here[m] for m in MACHINE)),
        fits={count: sha256_parts(fit) for count, fit in found.fits.items()},
        causes=() if equal else tuple(found.causes),
        notes=(*found.notes, *(found.causes if equal else ())),
        elsewhere=tuple(elsewhere),
        missing=tuple(missing),
        parts=tuple(parts),
    )


def _level(found: _Found, *, equal: bool, missing: Sequence[str], moved: bool) -> ReproductionLevel:
    if missing:
        return "not on record"
    if not equal:
        return "recorded"
    if len(found.fits) == 1:
        return "equal here"
    return "equal across threads and machines" if moved else "equal across threads"


def _parts(record: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix(PART): digest for name, digest in record.items() if name.startswith(PART)}


def _without_a_cause(fits: Mapping[int, Mapping[str, str]], parts: Sequence[str], elsewhere: Sequence[str]) -> str:
    made = f"All that went in is as on record, and {', '.join(parts)} differ"
    if len({sha256_parts(fit) for fit in fits.values()}) > 1:
        return f"{made}: the model depends on the number of threads."
    if elsewhere:
        return f"{made}: it can only be one of these: {'; '.join(elsewhere)}."
    return f"{made}, on the same machine with the same libraries: the trainer does not always do the same."


def _keep(stores: Home, version: ModelVersion, outcome: Reproduction, *, by: str) -> None:
    """Put the outcome into the audit log, and onto the page of the MLflow run."""
    stores.state.audit_append(
        Event.REPRODUCED if outcome.equal else Event.NOT_REPRODUCED,
        actor=by,
        subject={"model": version.model, "version": version.version, "bundle_sha256": version.sha256},
        data={
            "level": outcome.level,
            "fits": {str(count): sha256 for count, sha256 in outcome.fits.items()},
            "causes": list(outcome.causes),
            "notes": list(outcome.notes),
            "elsewhere": list(outcome.elsewhere),
            "missing": list(outcome.missing),
        },
        at=outcome.at,
    )
    if version.mlflow_run_id:
        stores.tracking.log_metrics(version.mlflow_run_id, {"reproduced": float(outcome.equal)})
