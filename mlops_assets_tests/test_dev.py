"""dev.py, run as a user runs it, beside a stand-in for uv that only notes what it was asked."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
UV = """#!/bin/sh
echo "$*" >> asked
case "$1" in
  venv) mkdir -p .venv/bin && ln -sf {python} .venv/bin/python ;;
  pip) case "$2" in
    sync) test ! -e broken ;;
    compile) for last; do :; done; cp lock-to-come "$last" ;;
  esac ;;
esac
"""


class Clone:
    """A clone with dev.py in it and uv on the path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copy(REPOSITORY / "dev.py", root)
        (root / "pyproject.toml").write_text("[project]\n")
        (root / "requirements.lock").write_text("numpy==2.4.6 --hash=sha256:00\n")
        tools = root / "tools"
        tools.mkdir()
        (tools / "uv").write_text(UV.format(python=sys.executable))
        (tools / "uv").chmod(0o755)

    def dev(self, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
        """Run `dev.py` with these arguments."""
        environment = {**os.environ, "PATH": f"{self.root / 'tools'}:{os.environ['PATH']}"}
        command = [python, str(self.root / "dev.py"), *arguments]
        return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)

    def asked(self) -> list[str]:
        """Give what uv was asked since the last look, by its first words."""
        notes = self.root / "asked"
        lines = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return [" ".join(line.split()[:2]).replace("venv --quiet", "venv") for line in lines if line != "--version"]


@pytest.fixture
def clone(tmp_path):
    """A clone nothing was done in yet."""
    return Clone(tmp_path)


def test_setup_makes_the_environment_once(clone):
    """The second set-up sees that nothing has changed, and asks uv nothing."""
    first = clone.dev("setup")
    steps = clone.asked()

    second = clone.dev("setup")

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + first.stderr
    assert steps == ["venv", "pip sync", "pip install"]
    assert clone.asked() == []


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_setup_syncs_again_when_a_declaration_changes(clone, changed):
    """The environment itself is kept."""
    clone.dev("setup")
    clone.asked()
    with (clone.root / changed).open("a") as file:
        file.write("# another\n")

    clone.dev("setup")

    assert clone.asked() == ["pip sync", "pip install"]


def test_setup_continues_after_a_step_that_failed(clone):
    """The failing step is named with what to do; the next set-up goes on from it."""
    (clone.root / "broken").touch()
    failed = clone.dev("setup")
    clone.asked()
    (clone.root / "broken").unlink()

    done = clone.dev("setup")

    assert failed.returncode == 1
    assert "uv pip sync" in failed.stderr
    assert "run the same command again" in failed.stderr
    assert done.returncode == 0
    assert clone.asked() == ["pip sync", "pip install"]


def test_setup_makes_a_half_made_environment_anew(clone):
    """An environment whose Python does not run is no environment."""
    clone.dev("setup")
    clone.asked()
    (clone.root / ".venv" / "bin" / "python").unlink()

    clone.dev("setup")

    assert clone.asked()[0] == "venv"


def test_lock_takes_what_uv_resolved(clone):
    """Pins and digests, and nothing about where they came from."""
    (clone.root / "lock-to-come").write_text("numpy==2.5.0 --hash=sha256:11\n")

    done = clone.dev("lock")

    assert done.returncode == 0
    assert (clone.root / "requirements.lock").read_text() == "numpy==2.5.0 --hash=sha256:11\n"


@pytest.mark.parametrize("line", ["--index-url https://index.example/simple", "mine @ file:///srv/mine.whl"])
def test_lock_refuses_addresses(clone, line):
    """A lock that names a host installs only where that host answers; the old lock stays."""
    before = (clone.root / "requirements.lock").read_text()
    (clone.root / "lock-to-come").write_text(f"{line}\n")

    refused = clone.dev("lock")

    assert refused.returncode == 1
    assert line.split()[-1] in refused.stderr
    assert (clone.root / "requirements.lock").read_text() == before


def test_an_unknown_command_shows_the_commands(clone):
    """With an exit code that a script can see."""
    done = clone.dev("deploy")

    assert done.returncode == 2
    assert "python3 dev.py setup" in done.stdout


def test_the_lock_of_this_repository_names_no_address():
    """Whoever clones it installs from their own index."""
    text = (REPOSITORY / "requirements.lock").read_text()

    assert "://" not in text
    assert "file:" not in text


@pytest.fixture
def dev(monkeypatch):
    """The file as a module, which notes what it would run and finds nothing installed."""
    spec = importlib.util.spec_from_file_location("dev", REPOSITORY / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ran = []
    monkeypatch.setattr(module, "works", lambda *command: False)
    monkeypatch.setattr(module, "find_uv", lambda: "uv")
    monkeypatch.setattr(module, "run", lambda *command: module.ran.append(" ".join(command)))
    return module


def test_pytorch_comes_from_the_wheel_without_graphics_cards_where_there_is_one(dev, monkeypatch, tmp_path):
    """Alone: what it needs beside is in the lock."""
    (tmp_path / f"torch-{dev.TORCH}+cpu-cp311-cp311-linux_x86_64.whl").touch()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    dev.torch()

    assert dev.ran == [f"uv pip install --quiet --no-deps --find-links {tmp_path} torch=={dev.TORCH}"]


def test_pytorch_from_elsewhere_is_announced_with_its_size(dev, monkeypatch, capsys):
    """With all it needs; nobody is surprised by gigabytes."""
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    dev.torch()

    assert dev.ran == [f"uv pip install --quiet torch=={dev.TORCH}"]
    assert "on Linux about 5 GB" in capsys.readouterr().out


def test_pytorch_that_is_there_is_left_alone(dev, monkeypatch):
    """The next test run starts at once."""
    monkeypatch.setattr(dev, "works", lambda *command: True)

    dev.torch()

    assert dev.ran == []
