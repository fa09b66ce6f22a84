"""A file of tests that leaves something behind fails, and the next one is not blamed for it."""

import subprocess
import sys

import pytest

CONFTEST = """\
from mlops_assets_tests import _left_behind
from mlops_assets_tests.conftest import pytest_configure

_left_behind.PATIENCE_S = 1.0
"""
LEAVES = {
    "a_signal": "import signal\ndef test_it(): signal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
    "a_setting": "import os\ndef test_it(): os.environ['MLOPS_LEFT'] = 'elsewhere'\n",
    "a_folder": "import os\ndef test_it(): os.chdir('/')\n",
    "a_port": "import socket\ndef test_it(): globals()['server'] = socket.create_server(('127.0.0.1', 0))\n",
    "a_process": """\
import subprocess

def test_it(): subprocess.Popen(["sh", "-c", "sleep 601 & echo"], start_new_session=True).wait()
""",
}
SAID = {
    "a_signal": "SIGTERM is handled by",
    "a_setting": "the variable MLOPS_LEFT is 'elsewhere', before None",
    "a_folder": "the working folder is /, before",
    "a_port": "listens",
    "a_process": "runs: sleep 601",
}
TIDY = """\
import subprocess, tempfile
import pytest

@pytest.fixture(scope="session")
def server():
    with subprocess.Popen(["sleep", "602"]) as process, tempfile.TemporaryDirectory():
        yield process
        process.kill()

def test_it(server): pass
"""
LIKE_DAGSTER = """\
import signal, subprocess

def test_what_is_started_can_be_ended():
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    with subprocess.Popen(["sleep", "603"]) as started:
        started.terminate()
        assert started.wait(10) == -signal.SIGTERM
"""


def pytest_of(folder, *, shell="exec"):
    """Run the tests of a folder in a process of their own, and give what that says."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").touch()
    command = f'{shell} "$0" -m pytest -q -rN -p no:cacheprovider "$1"'
    return subprocess.run(["sh", "-c", command, sys.executable, folder], capture_output=True, text=True, check=False)


def test_each_kind_is_seen_in_the_file_that_left_it(tmp_path):
    """Also what has gone into a session of its own, and whose parent is no more."""
    for number, (name, text) in enumerate(LEAVES.items()):
        (tmp_path / f"test_{number}_{name}.py").write_text(text)
        (tmp_path / f"test_{number}_then.py").write_text("def test_it(): pass\n")

    said = pytest_of(tmp_path).stdout

    for name, words in SAID.items():
        assert f"{name}.py left behind:" in said
        assert words in said
    assert said.count("left behind:") == len(LEAVES)


def test_what_a_fixture_of_the_whole_run_made_may_stay_until_it_ends(tmp_path):
    """A server that all tests share is no fault of the first that asks for it."""
    (tmp_path / "test_a.py").write_text(TIDY)
    (tmp_path / "test_b.py").write_text("def test_it(): pass\n")

    done = pytest_of(tmp_path)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("shell", ["exec", "trap '' INT; exec"], ids=["from a terminal", "behind & in a script"])
def test_what_tests_start_can_be_ended(tmp_path, shell):
    """Dagster hands SIGTERM what SIGINT has: in a script's background that is to be ignored, by children too."""
    (tmp_path / "test_a.py").write_text(LIKE_DAGSTER)

    done = pytest_of(tmp_path, shell=shell)

    assert done.returncode == 0, done.stdout
