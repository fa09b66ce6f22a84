#!/usr/bin/env python3
"""Set this project up and run it, with nothing but Python, git and the package registries at hand.

    python3 dev.py setup          make .venv from requirements.lock; every other command does it too, when needed
    python3 dev.py demo [...]     the whole life of a model on real data (`mlops demo --help` has the options)
    python3 dev.py up [...]       the servers without the replay (`mlops up --help`)
    python3 dev.py test [...]     all tests, on as many cores as there are; with arguments, what they tell pytest to run
    python3 dev.py check          lint, format, types, floors, spelling, then all tests
    python3 dev.py lock [...]     write requirements.lock anew from pyproject.toml; `--upgrade` takes newer versions

Set-up may be interrupted at any moment: the next one continues. As root on Debian it installs the system packages it
misses; otherwise it says which.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
TOOLS = ROOT / ".tools"
TORCH = "2.13.0"  # not in the lock: on Linux its usual wheel brings gigabytes for graphics cards
MOST_WORKERS = 4  # each may hold a stack of servers, about 2 GB
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "installed-from"  # where this .venv was made, then what it holds once that is installed

PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
UV = "uv>=0.9,<1"
LOCK_OPTIONS = (
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-strip-extras", "--group", "dev"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate", "--quiet"),
)
CHECKS = {
    "lint": ("ruff", "check"),
    "format": ("ruff", "format", "--check"),
    "types": ("mypy",),
    "floors": ("lint-imports",),
    "spelling": ("codespell",),
}


def main(command="help", *arguments):
    commands = {"setup": setup, "demo": demo, "up": up, "test": test, "check": check, "lock": lock}
    if command not in commands:
        print(__doc__)
        return 0 if command in ("help", "-h", "--help") else 2
    return commands[command](*arguments)


# --- commands -------------------------------------------------------------------------------------


def setup():
    """Bring .venv to exactly what requirements.lock and pyproject.toml say."""
    wanted = "\n".join([str(ROOT), digest(LOCK), digest(ROOT / "pyproject.toml")])
    found = STAMP.read_text() if STAMP.exists() else ""
    if found != wanted or not works(BIN / "python"):
        uv = find_uv()
        if not (found.startswith(f"{ROOT}\n") and works(BIN / "python")):  # none, half made, or moved
            say("making .venv")
            run(uv, "venv", "--quiet", "--clear", "--python", find_python(), VENV)
        STAMP.write_text(f"{ROOT}\n")
        say("installing what requirements.lock names (about 1.5 GB, minutes on a first run)")
        # bytecode at once: Dagster starts many processes, and each would compile the world for itself
        run(uv, "pip", "sync", "--require-hashes", "--compile-bytecode", LOCK)
        run(uv, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT)
        STAMP.write_text(wanted)
    if not works(BIN / "python", "-c", "import ctypes; ctypes.CDLL('libgomp.so.1')") and sys.platform == "linux":
        debian("libgomp1", needed_by="LightGBM")
    return 0


def demo(*arguments):
    setup()
    return become("mlops", "demo", *arguments)


def up(*arguments):
    setup()
    return become("mlops", "up", *arguments)


def test(*arguments):
    setup()
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        debian("chromium", needed_by="the browser tests", without="they are skipped")
    torch()
    if not (shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))):
        debian("postgresql", needed_by="the tests of the production databases", without="they are skipped")
    if not shutil.which("redis-server"):
        debian("redis-server", needed_by="the tests of the Redis store", without="they fail")
    return call(BIN / "python", "-m", "pytest", *(arguments or everything_at_once()))


def everything_at_once():
    """Give the options for all tests: each file on one worker, the longest first, and a short account at the end."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = ("-n", min(cores, MOST_WORKERS), "--dist", "loadfile", "--no-loadscope-reorder") if cores > 1 else ()
    return (*workers, "--durations", 25, "--tb", "short", "-r", "fEs")


def check():
    setup()
    failed = []
    for name, command in CHECKS.items():
        say(f"{name}: {' '.join(command)}")
        if call(BIN / command[0], *command[1:]):
            failed.append(name)
    say("tests: python3 dev.py test")
    if test():
        failed.append("tests")
    if failed:
        say(f"FAILED: {', '.join(failed)}. What is wrong stands above, under each name")
    return 1 if failed else 0


def lock(*options):
    draft = LOCK.with_suffix(".new")
    if LOCK.exists():
        shutil.copyfile(LOCK, draft)  # versions stay as they are unless pyproject.toml or --upgrade moves them
    run(find_uv(), "pip", "compile", "pyproject.toml", *LOCK_OPTIONS, *options, "--output-file", draft)
    if found := re.search(r"\S*(://|file:)\S*", draft.read_text()):
        stop(f"{draft} names an address, {found[0]}, and would only install where that answers. See UV_* and uv.toml.")
    draft.replace(LOCK)
    say("wrote requirements.lock; `python3 dev.py setup` installs it")
    return 0


# --- means ----------------------------------------------------------------------------------------


def find_uv():
    """Find uv on the path, or bring it into .tools, where neither PEP 668 nor a missing ensurepip is in the way."""
    own = TOOLS / "bin" / "uv"
    for uv in (shutil.which("uv"), own):
        if uv and works(uv):
            return uv
    if not works(sys.executable, "-m", "pip"):
        debian("python3-pip", needed_by="fetching uv")
    say("fetching uv into .tools")
    shutil.rmtree(TOOLS, ignore_errors=True)
    run(sys.executable, "-m", "pip", "install", "--quiet", "--target", TOOLS, UV)
    return own


def torch():
    """Install PyTorch for the tests where it is missing; set-up takes away what the lock does not name."""
    installed = f"from importlib.metadata import version; assert version('torch').split('+')[0] == {TORCH!r}"
    if works(BIN / "python", "-c", installed):
        return
    folders = os.environ.get("PIP_FIND_LINKS", "").split()
    if any(list(Path(folder).glob(f"torch-{TORCH}+cpu-*.whl")) for folder in folders):
        say("installing PyTorch for the tests, from its wheel without graphics cards (0.2 GB)")
        links = [part for folder in folders for part in ("--find-links", folder)]
        run(find_uv(), "pip", "install", "--quiet", "--no-deps", *links, f"torch=={TORCH}")
    else:
        say("installing PyTorch for the tests: 0.1 GB, but on Linux about 5 GB with its libraries for graphics cards")
        say("(a folder with its wheel without them, named by PIP_FIND_LINKS, makes that 0.2 GB)")
        run(find_uv(), "pip", "install", "--quiet", f"torch=={TORCH}")


def find_python():
    """Find an interpreter that the project supports: this one, or another on the path."""
    if (3, 11) <= sys.version_info[:2] <= (3, 14):
        return sys.executable
    for name in PYTHONS:
        if shutil.which(name):
            return shutil.which(name)
    return stop(f"Python 3.11 to 3.14 is needed, this is {sys.version.split()[0]}. Install one; set-up will find it.")


def debian(package, *, needed_by, without=None):
    """Install a system package if we may; else say what to do, and stop unless we can go on `without` it."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {package}, for {needed_by}")
        apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
        call(*apt, "update")  # somebody else's broken list need not stop us; the install will tell
        install = (*apt, "install", "--yes", "--no-install-recommends", package)
        run(*install, stdout=subprocess.DEVNULL, DEBIAN_FRONTEND="noninteractive")
    elif without:
        say(f"{package} is missing, for {needed_by}: {without}. On Debian: apt-get install {package}")
    else:
        stop(f"{package} is missing, for {needed_by}. On Debian: apt-get install {package} (as root); then try again.")


def environment():
    """Give the environment for everything we start: bytecode is kept, nothing reports home, nothing spins."""
    defaults = {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_WAIT_POLICY": "passive",
        "PIP_ROOT_USER_ACTION": "ignore",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_SYSTEM_CERTS": "1",  # as pip on Debian does: a company's own authority is in the system's store
    }
    if "PIP_INDEX_URL" in os.environ:
        defaults["UV_DEFAULT_INDEX"] = os.environ["PIP_INDEX_URL"]
    ours = {"PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]), "VIRTUAL_ENV": str(VENV)}
    everything = {**defaults, **os.environ, **ours}
    everything.pop("PYTHONDONTWRITEBYTECODE", None)
    return everything


def call(*command, stdout=None, **variables):
    """Run a command in the project and give its exit code."""
    env = {**environment(), **variables}
    return subprocess.call([str(part) for part in command], cwd=ROOT, env=env, stdout=stdout)


def run(*command, stdout=None, **variables):
    """Run a step of set-up, and stop with its name if it fails."""
    if call(*command, stdout=stdout, **variables):
        stop(
            f"This step failed, and its own words above say why:\n    {' '.join(map(str, command))}\n"
            "Mend that and run the same command again: it continues where it stopped."
        )


def works(program, *arguments):
    """Tell whether a program is there and runs; a half-installed one does not."""
    command = [str(program), *(arguments or ("--version",))]
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def become(program, *arguments):
    """Give this process over to a program of .venv, so that Ctrl-C and signals reach it directly."""
    os.execve(BIN / program, [program, *arguments], environment())


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(line):
    print(f"dev: {line}", flush=True)


def stop(line):
    sys.exit(f"dev: {line}")


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
