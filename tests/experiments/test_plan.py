"""Names of experiments: what decides a result changes them, what does not leaves them alone."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.experiments.checking import check, with_settings
from pipeline.experiments.plan import Experiment, experiments
from pipeline.experiments.recipe import Variants
from tests.conftest import ROOT

RECIPE = Variants(
    about="Why.",
    corpora=("demo_meld",),
    systems=("mcn_cl",),
    changes=("CORPUS.mcn_cl.workers=1",),
    variants={"text": ("CORPUS.mcn_cl.modalities=[text]",), "full": ()},
    reference="full",
)


@pytest.fixture
def repository(workspace: Path) -> Path:
    for name in ("params.yaml", "dvc.yaml", "pipeline", "stages"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, workspace / name)
    return workspace


def planned(recipe: Variants = RECIPE, last: str = "evaluate") -> list[Experiment]:
    return experiments("r", recipe.corpora, recipe.systems, recipe.runs(), last)


def names(recipe: Variants = RECIPE, last: str = "evaluate") -> dict[str, str]:
    return {experiment.variant: experiment.name for experiment in planned(recipe, last)}


def test_the_reference_comes_first_and_names_are_stable(repository: Path) -> None:
    found = planned()
    assert [e.variant for e in found] == ["full", "text"]
    assert found[0].name.startswith("r-full-") and len(found[0].name) == len("r-full-") + 8
    assert found[0].name[-8:] != found[1].name[-8:] and names() == names()
    common = ("corpora=[demo_meld]", "demos=[meld]", "demo_meld.mcn_cl.workers=1")
    assert found[1].settings == (*common, "demo_meld.mcn_cl.modalities=[text]")
    assert not found[0].allow_missing


@pytest.mark.parametrize(
    ("file", "other"),
    [
        ("params.yaml", True),
        ("dvc.yaml", True),
        ("pipeline/systems/mcn_cl.py", True),
        ("pipeline/systems/tfidf.py", False),  # which these experiments do not train
        ("pipeline/weights/lock.yaml", True),
        ("stages/train.py", True),
        ("pipeline/doctor/examine.py", False),
        ("pipeline/experiments/tables.py", False),
    ],
)
def test_files_that_decide_the_result_change_the_name(
    repository: Path, file: str, other: bool
) -> None:
    before = names()
    with (repository / file).open("a") as end:
        end.write("# x\n")
    assert (names() != before) == other


def test_settings_change_the_name_and_jobs_do_not(repository: Path) -> None:
    other = names(RECIPE.model_copy(update={"changes": ("CORPUS.mcn_cl.workers=2",)}))
    assert other.keys() == names().keys() and not set(other.values()) & set(names().values())
    assert names(RECIPE.model_copy(update={"jobs": 9, "about": "x"})) == names()


def test_what_ends_after_another_stage_has_another_name_and_targets(repository: Path) -> None:
    recipe = RECIPE.on(["demo_meld", "demo_iemocap"], ["mcn_cl", "tfidf"])
    short = planned(recipe, "train")
    items = ("demo_meld-mcn_cl", "demo_meld-tfidf", "demo_iemocap-mcn_cl", "demo_iemocap-tfidf")
    targets = tuple(f"train@{item}" for item in items)
    assert [e.targets for e in short] == [targets] * 2
    assert planned(recipe)[0].targets == tuple(f"evaluate@{i}" for i in items)
    assert not set(names(recipe).values()) & {e.name for e in short}


def test_a_corpus_that_is_not_generated_needs_its_manifest(repository: Path) -> None:
    recipe = RECIPE.model_copy(update={"corpora": ("demo_meld", "meld")})
    with pytest.raises(PipelineError, match=r"dvc.lock knows nothing of \['meld'\].*dvc repro"):
        planned(recipe)
    lock = {"stages": {"manifest@meld": {"cmd": "x", "outs": [{"path": "m", "md5": "1"}]}}}
    YAML(typ="safe").dump(lock, repository / "dvc.lock")
    first = planned(recipe)
    assert first[0].allow_missing
    assert first[0].settings[:2] == ("corpora=[demo_meld,meld]", "demos=[meld]")
    lock["stages"]["manifest@meld"]["outs"] = [{"path": "m", "md5": "2"}]
    YAML(typ="safe").dump(lock, repository / "dvc.lock")
    assert planned(recipe)[0].name != first[0].name


def test_a_system_that_is_not_run_is_told(repository: Path) -> None:
    with pytest.raises(PipelineError, match=r"the system 'mcn-cl'; did you mean 'mcn_cl'"):
        names(RECIPE.model_copy(update={"systems": ("mcn-cl",)}))


def test_an_unknown_corpus_is_told(repository: Path) -> None:
    with pytest.raises(PipelineError, match=r"got 'demo_mled'.* did you mean 'demo_meld'"):
        names(RECIPE.model_copy(update={"corpora": ("demo_mled",)}))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "demo_meld.mcn_cl.modalites=[text]",
            "Could not override 'demo_meld.mcn_cl.modalites'. No",
        ),
        ("demo_meld.mcn_cl.modalities=[txet]", "demo_meld.mcn_cl.modalities.0: got 'txet'"),
        ("demo_meld.mcn_cl.patience=0,8", "demo_meld.mcn_cl.patience=0,8: several values"),
        ("demo_meld.mcn_cl.seeds=[1", "demo_meld.mcn_cl.seeds=[1: not readable"),
    ],
)
def test_settings_that_do_not_fit_are_told_before_anything_runs(
    repository: Path, setting: str, said: str
) -> None:
    full, text = planned()
    before = Path("params.yaml").read_bytes()
    with pytest.raises(PipelineError) as error:
        check([full, replace(text, settings=(*text.settings, setting))])
    assert f"  text: {said}" in str(error.value)
    assert Path("params.yaml").read_bytes() == before


@pytest.mark.slow
def test_the_sections_that_are_set_are_checked_as_dvc_would_write_the_whole_file(
    repository: Path,
) -> None:
    settings = [
        *("corpora=[demo_meld]", "demos=[meld]", "compute.device=cpu"),
        *("demo_meld.mcn_cl.modalities=[text]", "demo_meld.mcn_cl.learning_rate=1e-4"),
        "demo_meld.protocol.control=within_dialogues",
    ]
    found = with_settings(settings)
    apply_overrides(Path("params.yaml"), settings)
    assert found == (read_params(), [])


def test_a_problem_of_all_variants_is_told_once(repository: Path) -> None:
    bad = [replace(e, settings=(*e.settings, "no.such=1")) for e in planned()]
    with pytest.raises(PipelineError) as error:
        check(bad)
    assert len(str(error.value).splitlines()) == 2 and "  full, text: Could" in str(error.value)


@pytest.mark.parametrize(
    ("last", "path"),
    [
        ("evaluate", "data/predictions/meld_text/mcn_cl.parquet"),
        ("train", "data/epochs/meld_text/mcn_cl.parquet"),  # of a search
    ],
)
def test_results_that_are_known_but_not_there_are_told_before_anything_runs(
    repository: Path, last: str, path: str
) -> None:
    """With files that may be absent, DVC would take an unchanged experiment for done."""
    Repo.init(no_scm=True).close()
    digest = "0123456789abcdef0123456789abcdef"
    stages = {
        "manifest@meld_text": {"outs": []},
        f"{last}@meld_text-mcn_cl": {"outs": [{"path": path, "md5": digest}]},
    }
    YAML().dump({"stages": stages}, repository / "dvc.lock")
    recipe = RECIPE.on(["meld_text"], ["mcn_cl"]).model_copy(
        update={"variants": {"text": (), "full": ("CORPUS.mcn_cl.contrastive=0",)}}
    )
    with pytest.raises(PipelineError, match=r"results of \['meld_text'\] .* not in DVC's cache"):
        check(planned(recipe, last))
    kept = repository / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    kept.parent.mkdir(parents=True)
    kept.touch()
    check(planned(recipe, last))
    shutil.rmtree(kept.parent)
    del stages[f"{last}@meld_text-mcn_cl"]
    YAML().dump({"stages": stages}, repository / "dvc.lock")
    check(planned(recipe, last))
