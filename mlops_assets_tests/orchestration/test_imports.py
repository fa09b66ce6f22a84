"""Every run, tick and command loads the project first, so what that imports is paid for thousands of times."""

import subprocess
import sys

HEAVY = ("great_expectations", "mlflow", "scipy.optimize", "scipy.stats", "sklearn", "torch", "optuna", "dask")


def test_loading_the_components_imports_nothing_that_only_some_steps_need():
    """Each of them takes a third of a second to seconds."""
    code = f"import sys, mlops_assets.orchestration; print([name for name in {HEAVY} if name in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert said == "[]\n"
