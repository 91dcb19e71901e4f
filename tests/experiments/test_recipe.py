"""Recipes: what they say, and what is wrong with them."""

from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.experiments.reading import Request, read_recipe
from pipeline.experiments.recipe import Variants

GOOD = """\
about: Why.
corpora: [demo_meld, demo_iemocap]
changes: [demo_meld.demo.dialogues.train=3, CORPUS.SYSTEM.workers=1]
others: [demo_meld.s.epochs=4]
variants:
  full: []
  text: ["CORPUS.SYSTEM.modalities=[text]"]
reference: full
"""
NUMBERS = """\
about: Why.
corpora: [demo_meld]
variants:
  "0.3": [CORPUS.SYSTEM.hard_ratio=0.3]
  all: [CORPUS.SYSTEM.hard_ratio=null, CORPUS.SYSTEM.epochs=1]
  "0.5": [CORPUS.SYSTEM.hard_ratio=0.5]
reference: all
quick: [all, "0.3"]
axis: CORPUS.SYSTEM.hard_ratio
"""


def written(folder: Path, text: str) -> Variants:
    (folder / "r.yaml").write_text(text)
    recipe = Request("r").recipe("s", folder)
    assert isinstance(recipe, Variants)
    return recipe


def test_corpus_stands_for_each_corpus(tmp_path: Path) -> None:
    recipe = written(tmp_path, GOOD)
    changes = [
        "demo_meld.demo.dialogues.train=3",
        "demo_meld.s.workers=1",
        "demo_iemocap.s.workers=1",
    ]
    assert recipe.runs() == {
        "full": changes,
        "text": [
            *changes,
            "demo_meld.s.epochs=4",
            "demo_meld.s.modalities=[text]",
            "demo_iemocap.s.modalities=[text]",
        ],
    }
    assert recipe.jobs == 1


def test_system_stands_for_each_system_and_the_reference_is_the_default(tmp_path: Path) -> None:
    text = GOOD.replace("[demo_meld, demo_iemocap]", "[m]").replace("demo_meld.demo", "m.demo")
    assert written(tmp_path, text).systems == ("s",)
    both = written(tmp_path, text + "systems: [a, b]\nbeside: [c]\n")
    assert both.runs()["full"] == ["m.demo.dialogues.train=3", "m.a.workers=1", "m.b.workers=1"]
    assert both.runs()["text"][-2:] == ["m.a.modalities=[text]", "m.b.modalities=[text]"]


def test_settings_of_systems_left_out_fall_away_but_variants_must_differ(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(NUMBERS + "systems: [a]\nlarger: [demo_meld.a.epochs=9]\n")
    recipe = Request("r", systems=("b",)).recipe("s", tmp_path)
    assert recipe.systems == ("b",) and not recipe.larger
    assert recipe.runs()["0.3"] == ["demo_meld.b.hard_ratio=0.3"]
    (tmp_path / "r.yaml").write_text(NUMBERS.replace("SYSTEM", "a") + "systems: [a]\n")
    with pytest.raises(PipelineError, match=r"for \['b'\] some of its variants are the same"):
        Request("r", systems=("b",)).recipe("s", tmp_path)
    with pytest.raises(PipelineError, match=r"--system names one twice: \['b', 'b'\]"):
        Request("r", systems=("b", "b")).recipe("s", tmp_path)


def test_a_quick_run_leaves_out_what_is_larger(tmp_path: Path) -> None:
    recipe = written(tmp_path, NUMBERS + "changes: [x.y=1]\nlarger: [CORPUS.demo.seed=3]\n")
    assert recipe.runs()["0.5"][:2] == ["x.y=1", "demo_meld.demo.seed=3"]
    assert recipe.quickened().runs() == {
        "all": [
            "x.y=1",
            "demo_meld.s.seeds=[1]",
            "demo_meld.s.hard_ratio=null",
            "demo_meld.s.epochs=1",
        ],
        "0.3": ["x.y=1", "demo_meld.s.seeds=[1]", "demo_meld.s.hard_ratio=0.3"],
    }
    (tmp_path / "r.yaml").rename(tmp_path / "whole.yaml")
    alike = written(tmp_path, NUMBERS.replace("corpora: [demo_meld]", "like: whole"))
    assert alike.larger == ("CORPUS.demo.seed=3",) and alike.changes == ("x.y=1",)


def test_on_other_corpora_settings_of_those_left_out_fall_away(tmp_path: Path) -> None:
    recipe = written(tmp_path, GOOD)
    assert recipe.on(["meld", "demo_iemocap"], ["s"]).runs()["text"] == [
        "meld.s.workers=1",
        "demo_iemocap.s.workers=1",
        "meld.s.modalities=[text]",
        "demo_iemocap.s.modalities=[text]",
    ]
    both = recipe.on(["demo_meld", "meld"], ["s"]).runs()["full"]
    assert both[0] == "demo_meld.demo.dialogues.train=3", "of those that stay they stay"


def test_a_quick_recipe_has_one_seed_and_the_quick_variants(tmp_path: Path) -> None:
    quick = written(tmp_path, NUMBERS).quickened()
    seed = "demo_meld.s.seeds=[1]"
    assert quick.runs() == {
        "all": [seed, "demo_meld.s.hard_ratio=null", "demo_meld.s.epochs=1"],
        "0.3": [seed, "demo_meld.s.hard_ratio=0.3"],
    }


def test_numbers_of_the_axis_are_those_that_are_set(tmp_path: Path) -> None:
    recipe = written(tmp_path, NUMBERS)
    assert [recipe.axis_value(name) for name in recipe.variants] == [0.3, None, 0.5]


def test_a_recipe_like_another_has_its_corpora_and_changes(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(GOOD)
    own = "about: Else.\nlike: base\nvariants: {a: [], b: [c=1]}\nreference: a\n"
    recipe = written(tmp_path, own)
    assert recipe.corpora == ("demo_meld", "demo_iemocap") and not recipe.others
    assert recipe.changes == ("demo_meld.demo.dialogues.train=3", "CORPUS.SYSTEM.workers=1")
    other = written(tmp_path, own + "corpora: [demo_iemocap]\nchanges: [x.y=1]\n")
    assert other.corpora == ("demo_iemocap",)
    assert other.changes == ("CORPUS.SYSTEM.workers=1", "x.y=1"), "what concerns it, then its own"


@pytest.mark.parametrize("like", ["r", "second"])
def test_a_recipe_cannot_be_like_one_that_is_like_another(tmp_path: Path, like: str) -> None:
    (tmp_path / "base.yaml").write_text(GOOD)
    (tmp_path / "second.yaml").write_text(GOOD + "like: base\n")
    with pytest.raises(PipelineError, match=f"like: got '{like}', expected a recipe that is like"):
        written(tmp_path, GOOD + f"like: {like}\n")


def test_a_recipe_like_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"There is no recipe .*nowhere.yaml"):
        written(tmp_path, GOOD + "like: nowhere\n")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("about: Why.\n", "", "about: missing; One sentence"),
        ("about:", "abuot: x\nabout:", "abuot: unknown key, expected some of ['about', 'corpora'"),
        ("reference: full", "reference: ful", "got 'ful', expected one of ['full', 'text']"),
        ("  text: [", "  Text me: [", "variants: got 'Text me', expected a name of a-z"),
        ("[demo_meld, demo_iemocap]", "[m, m]", "corpora: names one twice: ['m', 'm']"),
        ("[demo_meld, demo_iemocap]", "[]", "corpora: got []"),
        ("reference: full", "reference: full\nsystems: [a, a]", "systems: names one twice: ['a'"),
        ("reference: full", "reference: full\nbeside: [../a]", "beside: got '../a', expected a na"),
        ("CORPUS.SYSTEM.workers=1", "+train.x=1", "changes: got '+train.x=1', expected key.in"),
        ("demo_meld.s.epochs=4", "epochs", "others: got 'epochs', expected key.in"),
        ("modalities=[text]", "modalities", "variants.text: got 'CORPUS.SYSTEM.modalities'"),
        ("  full: []\n  text", "  full", "variants: got {'full': ['CORPUS"),
        ("reference: full", "reference: full\njobs: 0", "jobs: got 0; Input should be greater"),
        ("  text: [", "  tex..t: [", "variants: got 'tex..t', expected a name of a-z"),
        ('[all, "0.3"]', '["0.5", "0.3"]', "quick: got ['0.5', '0.3'], expected two or more of"),
        ('[all, "0.3"]', "[all]", "quick: got ['all'], expected two or more of"),
        ('[all, "0.3"]', '[all, "0.7"]', "each once, 'all' among them"),
        ('[all, "0.3"]', "[all, all]", "quick: got ['all', 'all'], expected two or more of"),
        ('[all, "0.3"]', "[a, b, c, d, e]", "Tuple should have at most 4 items"),
        ("ratio=0.5", "ratio=half", "variants.0.5: expected CORPUS.SYSTEM.hard_ratio=NUMBER"),
        ("ratio=0.5", "ratios=0.5", "variants.0.5: expected CORPUS.SYSTEM.hard_ratio=NUMBER"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    good = next(text for text in (GOOD, NUMBERS) if old in text)
    with pytest.raises(PipelineError) as error:
        written(tmp_path, good.replace(old, new))
    assert said in str(error.value) and str(error.value).startswith(f"{tmp_path}/r.yaml needs")


def test_one_message_names_all_mistakes(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as error:
        written(tmp_path, "abuot: x\njobs: many\n")
    lines = str(error.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == [
        *("about", "corpora", "jobs", "variants", "reference", "abuot"),
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
