"""Where tables are printed: as wide as the terminal, and uncut where a file or a pipe has no width."""

import os
import sys

from rich.console import Console

UNCUT = 240  # columns


def console() -> Console:
    """Give the console to print on."""
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else UNCUT)
