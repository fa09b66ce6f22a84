"""What differs between a version and the one that was live when it was judged."""

from collections.abc import Iterator
from typing import Final

from mlops_assets.governance.judged import Judged
from mlops_assets.governance.words import days, percent, plain

_ENVIRONMENT: Final = {"python": "Python", "git_sha": "Commit", "lock_sha256": "Lock file", "system": "System"}


def changes(judged: Judged) -> Iterator[tuple[str, str, str]]:
    """Give each thing that differs from the version before, as it was and as it is; nothing where there was none."""
    if judged.before is None or judged.before_set is None:
        return
    old, new, old_set, new_set = judged.before, judged.version, judged.before_set, judged.training_set
    sides = (old_set, new_set)
    was, now = (f"{s.train.rows:,} {judged.things}" for s in sides)
    yield "Learnt from", was, now
    was, now = (days(s.train) for s in sides)
    yield "Decisions of", was, now
    share = percent if new.task == "binary" else plain
    was, now = (share(s.train.label_mean) for s in sides)
    yield ("Hits among them" if new.task == "binary" else "Mean of what is predicted"), was, now
    features = [{feature.name for feature in s.spec.features} for s in sides]
    if features[0] != features[1]:
        yield (
            "Features",
            _list("gone: ", features[0] - features[1]),
            _list("new: ", features[1] - features[0]),
        )
    if old_set.spec.code_sha256 != new_set.spec.code_sha256:
        yield "Code of features.py", old_set.spec.code_sha256[:12], new_set.spec.code_sha256[:12]
    for name in sorted(old.params.keys() | new.params.keys()):
        if old.params.get(name) != new.params.get(name):
            yield f"Parameter {name}", str(old.params.get(name, "–")), str(new.params.get(name, "–"))
    facts = old.reproducibility, new.reproducibility
    for name in sorted(facts[0].keys() | facts[1].keys()):
        was, now = (each.get(name, "–") for each in facts)
        if was != now and (name.startswith("library.") or name in _ENVIRONMENT):
            yield _ENVIRONMENT.get(name, name.removeprefix("library.")), was[:16], now[:16]


def _list(said: str, names: set[str]) -> str:
    return said + ", ".join(sorted(names)) if names else "–"
