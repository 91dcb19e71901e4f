"""The recipes of experiments/: they fit params.yaml, on demo corpora and on whole ones."""

from itertools import product
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.base import lockfile
from pipeline.experiments import plan
from pipeline.experiments.checking import check
from pipeline.experiments.reading import FOLDER, Request
from pipeline.experiments.recipe import QUICK, Search
from tests.conftest import ROOT

NAMES = sorted(file.stem for file in (ROOT / FOLDER).glob("*.yaml"))
WHOLE = {"demo_meld": "meld", "demo_iemocap": "iemocap", "meld_text": "meld_text"}


@pytest.fixture(autouse=True)
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This one, as if the whole corpora had been through `dvc repro`."""
    monkeypatch.chdir(ROOT)
    lock = tmp_path / "dvc.lock"
    stages = {f"manifest@{corpus}": {"cmd": "x", "outs": []} for corpus in WHOLE.values()}
    YAML(typ="safe").dump({"stages": stages}, lock)
    monkeypatch.setattr(lockfile, "LOCK", lock)


def test_what_the_issue_asks_for_is_there() -> None:
    asked = {
        *("paper-parts", "modalities", "layers", "heads", "hard-ratio", "temperature"),
        *("batch-size", "loss-weights", "label-policies-meld", "label-policies-iemocap"),
        *("context", "grid-search", "demo-ablation", "decoupling", "rare-classes"),
        *("mcihn-parts", "controls"),
    }
    assert asked <= set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_settings_fit_params_yaml(name: str) -> None:
    """Every key exists, and every value passes the checks of the stages."""
    recipe = Request(name).recipe("mcn_cl")
    corpora = list(dict.fromkeys([*recipe.corpora, *(WHOLE[name] for name in recipe.corpora)]))
    everywhere = recipe.on(corpora, recipe.systems)
    systems = (*recipe.systems, *recipe.beside)
    experiments = plan.experiments(name, corpora, systems, everywhere.runs())
    assert len({e.name for e in experiments}) == len(experiments) == len(recipe.runs())
    check(experiments)


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_is_small(name: str) -> None:
    recipe = Request(name).recipe("mcn_cl")
    quick = recipe.quickened()
    points = len(quick.points()) if isinstance(quick, Search) else len(quick.runs())
    assert 2 <= points <= QUICK
    for settings in quick.runs().values():
        seeds = [setting for setting in settings if ".seeds=" in setting]
        cases = product(recipe.corpora, recipe.systems)
        assert seeds == [f"{corpus}.{system}.seeds=[1]" for corpus, system in cases]


@pytest.mark.parametrize("name", NAMES)
def test_on_whole_corpora_nothing_of_the_demo_is_set(name: str) -> None:
    recipe = Request(name).recipe("mcn_cl")
    whole = recipe.on([WHOLE[corpus] for corpus in recipe.corpora], recipe.systems)
    assert not [s for settings in whole.runs().values() for s in settings if "demo" in s]
