"""What is not of one definition: days of a view, and live models that learnt another than they are answered by."""

import msgspec

from mlops_assets.digests import sha256_json
from mlops_assets.errors import examples
from mlops_assets.features.redefinition import computed_otherwise
from mlops_assets.orchestration.steps.fitting.bundles import LoadedBundle
from mlops_assets.orchestration.steps.intake.defining import DEFINITIONS, NOTE, noted, otherwise, told
from mlops_assets.records import TrainingSet, ViewComputation
from mlops_assets.stores.home import Home
from mlops_assets.stores.releases import Release


def not_of_one(stores: Home, now: ViewComputation) -> list[str]:
    """Say which stored days of a view were computed by another definition than `now`, and which live model learnt one.

    Empty if all are of one; each sentence says how to mend it.
    """
    days = otherwise(stores, now, stores.tables.contents(f"features/{now.view}"))
    return [
        *([told(now.view, days)] if days else []),
        *(
            f"{version}, which is live, learnt {examples(f'{name} ({why})' for name, why in changed.items())} by "
            "another definition than is declared. Train it again, or give what is new a name of its own."
            for version, changed in _learnt_otherwise(stores, now).items()
        ),
    ]


def _learnt_otherwise(stores: Home, now: ViewComputation) -> dict[str, dict[str, str]]:
    """Give by live version (`model vN`) the features it asks for and learnt by another definition than `now`.

    A version that was trained before definitions were noted is none of them.
    """
    if not {*stores.records.partitions((DEFINITIONS, now.view))} - {sha256_json(now)}:
        return {}  # it was never computed otherwise, so no log of old versions need be read
    releases = (release for model in stores.releases.models() if (release := stores.releases.current(model)))
    found = {f"{release.model} v{release.version}": _of(stores, release, now) for release in releases}
    return {version: changed for version, changed in found.items() if changed}


def _of(stores: Home, release: Release, now: ViewComputation) -> dict[str, str]:
    note = _learnt_by(stores, release, now.view)
    if note is None or note == sha256_json(now):
        return {}
    learnt = noted(stores, now.view, note)
    gone = dict.fromkeys({*learnt.features} - {*now.features}, "the view has it no longer") if learnt else {}
    changed = gone | computed_otherwise(learnt, now)
    if not changed:
        return {}
    asked = LoadedBundle.of(stores, release.model, release.bundle_sha256).vectorizer.plan.inputs
    return {each.name: changed[each.name] for each in asked if each.name in changed}


def _learnt_by(stores: Home, release: Release, view: str) -> str | None:
    """Give the note of what a view was computed by when the version was trained: that of its newest day then."""
    table = f"features/{view}"
    trained = next(v for v in stores.state.versions(release.model) if v.bundle_sha256 == release.bundle_sha256)
    sources = msgspec.json.decode(trained.record_json, type=TrainingSet).sources
    version = next((source.version for source in sources if source.table == table), None)
    if version is None:
        return None
    contents = stores.tables.contents(table, version)
    return contents[max(contents)].extra.get(NOTE)
