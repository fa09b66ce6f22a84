"""`mlops reproduce`: what a person reads, what a program reads, and how it ends."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_assets.governance import Event
from mlops_assets.records import ModelVersion
from mlops_assets.training.trainers import lightgbm
from mlops_assets_tests._shop import MODEL, PACKAGE


def test_what_is_live_is_made_again_and_said_line_by_line(shop, mlops):
    """What is on record, what each fit gave, and how much is shown by it."""
    said = mlops("reproduce", MODEL, "--threads", "1,2")

    sha256 = shop.home.state.versions(MODEL)[0].bundle_sha256
    assert said.code == 0
    assert said.out.splitlines() == [
        f"version    {MODEL}@1",
        f"on record  {sha256}",
        f"1 thread   {sha256}  equal",
        f"2 threads  {sha256}  equal",
        "so it is   equal across threads",
    ]


def test_what_differs_ends_with_an_error_code_and_its_cause(shop, mlops, monkeypatch):
    """As text and as data; here a library that writes its trees otherwise."""
    sha256 = shop.home.state.versions(MODEL)[0].bundle_sha256
    version = shop.home.records.get(("versions", MODEL), sha256, ModelVersion)
    other = version.reproducibility | {"library.lightgbm": "0.0.1"}
    shop.home.records.put(("versions", MODEL), sha256, replace(version, reproducibility=other))
    monkeypatch.setattr(lightgbm, "normalised", lambda text: text + b"\n")

    said = mlops("reproduce", f"{MODEL}@1", "--threads", "1")
    data = mlops("reproduce", f"{MODEL}@1", "--threads", "1", "--json", "--as", "ada")

    assert (said.code, data.code) == (1, 1)
    assert "differs in model.txt" in said.out
    assert "because    All that went in is as on record, and model.txt differ" in said.out
    assert said.out.splitlines()[-1] == "so it is   recorded, and not reproduced"
    assert json.loads(data.out)["parts"] == ["model.txt"]
    assert json.loads(data.out)["equal"] is False
    assert shop.home.state.audit_entries(model=MODEL)[-1].event == Event.NOT_REPRODUCED
    assert shop.home.state.audit_entries(model=MODEL)[-1].actor == "ada"


@pytest.mark.parametrize("left", ["def broken(:", None])
def test_a_version_is_made_again_where_nothing_can_be_loaded(shop, mlops, tmp_path, monkeypatch, left):
    """Its features are no Python by now, or its folder is gone: what counts is the recipe."""
    root = Path(shutil.copytree(shop.project.root, tmp_path / "project"))
    folder = root / PACKAGE / "defs" / MODEL
    shutil.rmtree(folder)
    if left:
        shutil.copytree(shop.folder.path, folder)
        (folder / "features.py").write_text(left)
    monkeypatch.chdir(root)

    said = mlops("reproduce", MODEL, "--threads", "1")

    assert said.code == 0
    assert said.out.splitlines()[-1] == "so it is   equal here"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([f"{MODEL}@newest"], 2, f"Write {MODEL}@NUMBER"),
        ([f"{MODEL}@7"], 1, f"Known: {MODEL}@1"),
        (["comes_bak"], 1, f"Did you mean '{MODEL}'"),
        ([MODEL, "--threads", "1,0"], 1, "no numbers of threads"),
    ],
)
def test_what_cannot_be_meant_is_told(mlops, arguments, code, words):
    """In words, before anything is fitted."""
    said = mlops("reproduce", *arguments)

    assert said.code == code
    assert words in said.err
