"""What differs between a version and the one that was live when it was judged."""

from collections.abc import Callable, Iterator
from typing import Final

from mlops_assets.governance.judged import Judged
from mlops_assets.governance.words import days, percent, plain
from mlops_assets.records import TrainingSet

_FACTS: Final = {
    "trainer": "Trainer",
    "trainer_sha256": "Code of trainer.py",
    "model_sha256": "Code of model.py",
    "python": "Python",
    "git_sha": "Commit",
    "lock_sha256": "Lock file",
    "system": "System",
}


def changes(judged: Judged) -> Iterator[tuple[str, str, str]]:
    """Give each thing that differs from the version before, as it was and as it is; nothing where there was none."""
    if judged.before is None or judged.before_set is None:
        return
    old, new, old_set, new_set = judged.before, judged.version, judged.before_set, judged.training_set
    sides = (old_set, new_set)
    learnt: dict[str, tuple[str, str]] = {
        "Learnt from": _both(sides, lambda s: f"{s.train.rows:,} {judged.things}"),
        "Decisions of": _both(sides, lambda s: days(s.train)),
    }
    if new.task == "binary":
        learnt["Hits among them"] = _both(sides, lambda s: percent(s.train.label_mean))
    elif new.task == "regression":
        learnt["Mean of what is predicted"] = _both(sides, lambda s: plain(s.train.label_mean))
    yield from ((name, was, now) for name, (was, now) in learnt.items() if was != now)
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
        if was != now and (name.startswith("library.") or name in _FACTS):
            yield _FACTS.get(name, name.removeprefix("library.")), was[:16], now[:16]


def _both(sides: tuple[TrainingSet, TrainingSet], said: Callable[[TrainingSet], str]) -> tuple[str, str]:
    return said(sides[0]), said(sides[1])


def _list(said: str, names: set[str]) -> str:
    return said + ", ".join(sorted(names)) if names else "–"
