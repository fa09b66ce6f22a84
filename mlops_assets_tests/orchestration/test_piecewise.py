"""Memory: while rows are read and fitted free blocks go back to the system, and afterwards work keeps them again."""

import subprocess
import sys

SCRIPT = """
from pathlib import Path

import numpy as np

from mlops_assets.orchestration.steps.datasets.piecewise import blocks_given_back

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

def given_back():
    blocks = [np.ones(1 << 17) for _ in range(64)]  # a megabyte each
    held = resident()
    del blocks[::2]
    return held - resident()

with blocks_given_back():
    print(given_back())
print(given_back())
"""


def test_every_other_of_many_blocks_goes_back_to_the_system_inside_and_none_afterwards():
    """A fresh process, for what a heap keeps depends on all that happened before."""
    told = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True).stdout
    inside, afterwards = map(float, told.split())

    assert inside > 30, f"of 32 MB that were free only {inside} MB went back"
    assert afterwards < 2, f"{afterwards} MB went back, to be taken from the system again"
