"""Seeds defects where they arise in life and tells which check caught each before the model went live.

    python -m bench.defects [--only NAME] [--sound 100] [--json FILE] [--docs]

Every trial is a retraining through the real steps: contract, features, training set, fit, gate, dossier, approval, and
loading as the endpoint loads. Beside the defects, sound retrainings on other seeds and windows count how often a good
model is held up: refused by the gate, or left to a person. `--docs` writes the table into docs/defects.md.
"""

import argparse
import json
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten

from bench import _page
from bench._defect_world import MODEL_FILES, Caught, Defect, first_life, retrain, two_weeks_later
from bench.defects_catalogue import CATALOGUE, DEFECTS

PAGE = Path(__file__).parents[1] / "docs" / "defects.md"
COMMAND = "python -m bench.defects --docs"
CAUGHT_GOAL, REFUSED_GOAL = 0.95, 0.02
SOUND, WORLDS = 100, 10  # retrainings, and worlds they share
WINDOWS = (
    "holdout_days: 10",
    "holdout_days: 7",
    "holdout_days: 14",
    "kind: sliding, days: 28, holdout_days: 10",
    "kind: sliding, days: 21, holdout_days: 7",
)


@dataclass(frozen=True)
class Result:
    """What became of a trial: `stage` and `check` are empty where the version went live."""

    name: str
    stage: str = ""
    check: str = ""
    words: str = ""
    review: bool = False

    @classmethod
    def of(cls, name: str, caught: Caught | None) -> "Result":
        """Take over what caught it."""
        return cls(name, caught.stage, caught.check, caught.words, caught.review) if caught else cls(name)


def try_defects(names: list[str], root: Path) -> list[Result]:
    """Retrain once with each defect."""
    first = first_life(root / "first")
    later = two_weeks_later(root / "later", first)
    found = []
    for name in names:
        caught = retrain(DEFECTS[name](), root / "trial", first=first, later=later)
        shutil.rmtree(root / "trial")
        found.append(Result.of(name, caught))
        print(f"{name:45} {_said(found[-1])}", flush=True)
    return found


def try_sound(count: int, root: Path) -> list[Result]:
    """Retrain without any defect: every world has its own orders, and each retraining its seed and window."""
    first, found = first_life(root / "first"), []
    for world in range(min(WORLDS, count)):
        later = two_weeks_later(root / "later", first, seed=100 + world)
        for number in range(world, count, WORLDS):
            name = f"sound {number}"
            caught = retrain(
                Defect(), root / "trial", first=first, later=later, seed=100 + world, files=_files(number // WORLDS)
            )
            shutil.rmtree(root / "trial")
            found.append(Result.of(name, caught))
            if caught:
                print(f"{name:45} {_said(found[-1])}", flush=True)
        shutil.rmtree(root / "later")
    return found


def _files(number: int) -> Mapping[str, str]:
    window = WINDOWS[number % len(WINDOWS)]
    text = MODEL_FILES["defs.yaml"].replace("holdout_days: 10", window)
    return {**MODEL_FILES, "defs.yaml": text.replace("training: {", f"training: {{seed: {1000 + number}, ")}


def _said(result: Result) -> str:
    if not result.stage:
        return "LIVE"
    return f"{result.stage}: {result.check}{' (review)' if result.review else ''}: {result.words[:150]}"


def page(found: Mapping[str, Result], sound: list[Result]) -> str:
    """Give the page that tells what caught each defect."""
    caught = sum(bool(result.stage) for result in found.values())
    review = sum(result.review for result in found.values())
    refused, left = (sum(bool(r.stage) and r.review is way for r in sound) for way in (False, True))
    return _page.page(
        "Defects, and what catches them",
        [
            f"{len(found)} defects, each seeded where it would arise in life and carried through the real steps: "
            f"{caught} ({caught / len(found):.1%}) are caught before the model answers a request, {review} of them by "
            f"being left to a person. Of {len(sound)} sound retrainings, on other seeds, orders and windows, {refused} "
            f"are refused and {left} left to a person.",
            f"This page is made by `{COMMAND}`; a test checks that it tells of every defect there is. The defects are "
            "in `bench/defects_catalogue/`, the made-up shop they are seeded into in `bench/_defect_shop.py`. No rule "
            "of the shop names a defect; its contract and its gate say what any owner would say. What `live` says was "
            "not caught: monitoring has to find it, or a person.",
        ],
        ["defect", "what was done", "caught at", "by"],
        {title: [_cells(each, found[each.name]) for each in defects] for title, defects in CATALOGUE.items()},
    )


def _cells(defect: type[Defect], result: Result) -> list[str]:
    if not result.stage:
        return [defect.name, defect.what, "**live**", "nothing"]
    by = f"`{result.check}`" + (", left to a person" if result.review else "")
    words = re.sub(r"\S*/mlops-defects-\S*", "…", " ".join(result.words.split()))
    return [defect.name, defect.what, result.stage, f"{by}: {shorten(words, 160, placeholder=' …')}"]


def main() -> None:
    """Try defects and sound retrainings; exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", choices=sorted(DEFECTS), metavar="NAME", help="these defects alone")
    parser.add_argument("--sound", type=int, default=SOUND, help="how many sound retrainings")
    parser.add_argument("--json", type=Path, help="write what was found as data")
    parser.add_argument("--docs", action="store_true", help="write docs/defects.md")
    options = parser.parse_args()
    began = time.process_time()
    with TemporaryDirectory(prefix="mlops-defects-") as folder:
        found = try_defects(options.only or list(DEFECTS), Path(folder) / "defects")
        sound = try_sound(options.sound, Path(folder) / "sound") if options.sound else []
    caught = [result for result in found if result.stage]
    refused, left = (sum(bool(r.stage) and r.review is way for r in sound) for way in (False, True))
    print(
        f"\n{len(caught)} of {len(found)} defects caught before deployment ({len(caught) / len(found):.1%}), by stage:"
    )
    for stage, count in Counter(result.stage for result in caught).most_common():
        print(f"  {stage:15} {count}")
    print(f"not caught: {', '.join(r.name for r in found if not r.stage) or 'none'}")
    print(f"{len(sound)} sound retrainings: {refused} refused, {left} left to a person")
    print(f"{time.process_time() - began:.0f} s of processor time")
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in (*found, *sound)], indent=2) + "\n")
    if options.docs and not options.only:
        PAGE.write_text(page({result.name: result for result in found}, sound), encoding="utf-8")
    met = len(caught) >= CAUGHT_GOAL * len(found) and refused + left <= REFUSED_GOAL * len(sound)
    sys.exit(0 if met or options.only else 1)


if __name__ == "__main__":
    main()
