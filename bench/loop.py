"""The year of the example, replayed: what the loop is worth against a model that is left alone.

    python -m bench.loop [--home DIR] [--until 2013-12-31]

Starts the stack, plays every day from 1 April to the end of December 2013 to it (about half an hour), and prints AUC
and value by month, with the loop and with the first version, trained on January to March, left alone. A run that was
cut short goes on where it was when it is started again with the same home.
"""

import argparse
import json
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from tempfile import mkdtemp

from rich.console import Console

from mlops_assets.cli.closing import show
from mlops_assets.cli.demo import FLAGSHIP, LIVE_FROM, play
from mlops_assets.cli.project import Project
from mlops_assets.governance import Event

GOAL = 0.03  # AUC above the static model, averaged over May to December
MOST_PER_MONTH = 2


def main() -> None:
    """Play the year and print what it was worth; exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--home", type=Path, help="where everything rests; default: a new temporary folder")
    parser.add_argument("--until", type=date.fromisoformat, default=date(2013, 12, 31), help="first day not played")
    parser.add_argument("--json", type=Path, help="write the closing table as data")
    options = parser.parse_args()
    project = Project.find(str(options.home or mkdtemp(prefix="mlops-loop-")))
    console = Console()
    with play(project, LIVE_FROM, options.until, ports={}, faults={}, console=console, models=[FLAGSHIP]) as (
        closing,
        _,
    ):
        show(closing, console)
    if options.json:
        closing.write(options.json)
    months = [month for month in closing.months[FLAGSHIP] if month.month >= "2013-05"]
    gains = {month.month: month.loop.metric - month.static.metric for month in months}
    requests = Counter(
        f"{entry.at:%Y-%m}"
        for entry in project.home.state.audit_entries(model=FLAGSHIP)
        if entry.event == Event.RETRAIN_TRIGGERED
    )
    result = {
        "auc_loop": sum(month.loop.metric for month in months) / len(months),
        "auc_static": sum(month.static.metric for month in months) / len(months),
        "gain": sum(gains.values()) / len(gains),
        "gain_by_month": gains,
        "value_gain": sum((month.loop.value or 0) - (month.static.value or 0) for month in months),
        "retrainings_by_month": dict(sorted(requests.items())),
        "goal": GOAL,
    }
    print(json.dumps(result, indent=2))
    met = result["gain"] >= GOAL and max(requests.values(), default=0) <= MOST_PER_MONTH
    print("goals met" if met else "a goal is missed")
    sys.exit(not met)


if __name__ == "__main__":
    main()
