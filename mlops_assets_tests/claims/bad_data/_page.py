"""`docs/bad-data.md`, made from what became of every kind: python -m mlops_assets_tests.claims.bad_data._page."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench._page import page as page_of
from mlops_assets_tests.claims.bad_data._kinds import CATALOGUE, KINDS
from mlops_assets_tests.claims.bad_data._world import DAY, Kind, Outcome, outcome, week_before

PAGE = Path(__file__).parents[3] / "docs" / "bad-data.md"
COMMAND = "python -m mlops_assets_tests.claims.bad_data._page"
ENDS = {
    "blocked": "blocked",
    "quarantined": "quarantined",
    "warned": "let through, with a warning",
    "accepted": "accepted",
}


def page(outcomes: Mapping[str, Outcome]) -> str:
    """Give the page that tells what became of each kind."""
    count = {end: sum(found.ends == end for found in outcomes.values()) for end in ENDS}
    return page_of(
        "Bad data, and what becomes of it",
        [
            f"A day of the example's flights ({DAY}), spoilt in {len(outcomes)} ways, each through the real ingest, "
            f"the contract and the quality suite: {count['blocked']} are blocked, of {count['quarantined']} the bad "
            f"rows are quarantined and the others go on, {count['warned']} warns, and {count['accepted']} are accepted "
            "for the reason given. None passes unseen.",
            f"This page is made by `{COMMAND}`, and a test fails when it is out of date. The kinds are in "
            "`mlops_assets_tests/claims/bad_data/`; what becomes of held rows and blocked batches is in "
            "[Quarantine, and the way out of it](quarantine.md).",
        ],
        ["kind", "what was done to the day", "what becomes of it", "what says so"],
        {title: [_cells(kind, outcomes[kind.name]) for kind in kinds] for title, kinds in CATALOGUE.items()},
    )


def _cells(kind: Kind, found: Outcome) -> list[str]:
    ends = ENDS[found.ends] + (f" ({found.held} rows)" if found.ends == "quarantined" else "")
    names = dict.fromkeys(filter(None, found.by.split(", ")))  # a warning and an error of one name are told once
    said = ", ".join(f"`{name}`" if "." in name or "_" in name else name for name in names)
    return [kind.name, kind.what, ends, "; ".join(filter(None, [said, kind.accepted]))]


def main() -> None:
    """Write the page anew."""
    with tempfile.TemporaryDirectory() as folder:
        week = week_before(Path(folder) / "week")
        found = {kind.name: outcome(kind, week, Path(folder) / f"{n}") for n, kind in enumerate(KINDS)}
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
