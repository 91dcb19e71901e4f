"""Recipes: what they say, what is wrong with them, and that the shipped ones fit params.yaml."""

from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.experiments.plan import check, experiments
from pipeline.experiments.recipe import FOLDER, Recipe, read_recipe
from tests.conftest import ROOT

GOOD = """\
about: Why.
corpora: [demo_meld, demo_iemocap]
changes: [demo.demo_meld.dialogues.train=3, train.CORPUS.workers=1]
others: [train.demo_meld.epochs=4]
variants:
  full: []
  text: ["model.CORPUS.modalities=[text]"]
reference: full
"""


def written(folder: Path, text: str) -> Recipe:
    (folder / "r.yaml").write_text(text)
    return read_recipe("r", folder)


def test_corpus_stands_for_each_corpus(tmp_path: Path) -> None:
    recipe = written(tmp_path, GOOD)
    changes = [
        "demo.demo_meld.dialogues.train=3",
        "train.demo_meld.workers=1",
        "train.demo_iemocap.workers=1",
    ]
    assert recipe.settings("full") == changes
    assert recipe.settings("text") == [
        *changes,
        "train.demo_meld.epochs=4",
        "model.demo_meld.modalities=[text]",
        "model.demo_iemocap.modalities=[text]",
    ]
    assert recipe.jobs == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("about: Why.\n", "", "about: missing; One sentence"),
        ("about:", "abuot: x\nabout:", "abuot: unknown key, expected some of ['about', 'corpora'"),
        ("reference: full", "reference: ful", "got 'ful', expected one of ['full', 'text']"),
        ("  text: [", "  Text me: [", "variants: got 'Text me', expected a name of a-z"),
        ("[demo_meld, demo_iemocap]", "[m, m]", "corpora: names one twice: ['m', 'm']"),
        ("[demo_meld, demo_iemocap]", "[]", "corpora: got []"),
        ("train.CORPUS.workers=1", "+train.x=1", "changes: got '+train.x=1', expected key.in"),
        ("train.demo_meld.epochs=4", "epochs", "others: got 'epochs', expected key.in"),
        ("modalities=[text]", "modalities", "variants.text: got 'model.CORPUS.modalities'"),
        ("  full: []\n  text", "  full", "variants: got {'full': ['model"),
        ("reference: full", "reference: full\njobs: 0", "jobs: got 0; Input should be greater"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(PipelineError) as error:
        written(tmp_path, GOOD.replace(old, new))
    assert said in str(error.value) and str(error.value).startswith(f"{tmp_path}/r.yaml needs")


def test_one_message_names_all_mistakes(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as error:
        written(tmp_path, "abuot: x\njobs: many\n")
    lines = str(error.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == [
        "about",
        "corpora",
        "variants",
        "reference",
        "jobs",
        "abuot",
    ]


def test_a_file_that_is_no_mapping_is_told(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="the file: got 'just words'"):
        written(tmp_path, "just words")
    with pytest.raises(PipelineError, match="cannot be read as YAML"):
        written(tmp_path, "a: [")


@pytest.mark.parametrize("name", ["other", "../params", "R"])
def test_an_unknown_recipe_is_told_with_those_there_are(tmp_path: Path, name: str) -> None:
    (tmp_path / "one.yaml").touch()
    with pytest.raises(PipelineError, match=r"There is no recipe .*; .* has \['one'\]"):
        read_recipe(name, tmp_path)


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / FOLDER).glob("*.yaml")))
def test_shipped_recipes_fit_params_yaml(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key of theirs exists, and every value passes the checks of the stages."""
    monkeypatch.chdir(ROOT)
    # Of a corpus that is not generated, dvc.lock knows nothing in a fresh clone.
    monkeypatch.setattr("pipeline.experiments.plan._manifests", lambda corpora: [])
    recipe = read_recipe(name)
    plan = experiments(name, recipe)
    assert plan[0].variant == recipe.reference and len(plan) == len(recipe.variants)
    check(plan)
