"""params.yaml: the committed file is valid, and every problem of a bad one is told at once."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.base.arithmetic import pin
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params, settings_classes
from tests.conftest import PARAMS
from tests.dag.clone import dumped

TEXT = PARAMS.read_text(encoding="utf-8")


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> str:
    with pytest.raises(PipelineError) as error:
        read_params(path)
    return str(error.value)


def test_the_committed_file_is_valid() -> None:
    params = read_params(PARAMS)
    assert params.corpora == ["demo_meld", "demo_iemocap"]
    assert params.system("meld", "mcn_cl").width == 256
    assert params.system("demo_meld", "mcn_cl").learning_rate > 0


def test_every_section_has_a_settings_class() -> None:
    assert {"corpus", "protocol", "text", "finetune"} <= set(settings_classes())


def test_all_problems_are_named_in_one_message(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        ("count: 4", "count: 0"),
        ("pooling: mean", "pooling: man"),
        ("*mcn_cl], width", "*mcn_cl], haeds: 4, width"),
        ("  tfidf: {<<: *tfidf", "  tfdif: {<<: *tfidf"),
        (
            "    warmup: 0.1\n    gradient_clip: 1.0\n    dropout",
            "    warmup: 2\n    gradient_clip: 1.0\n    dropout",
        ),
    )
    told = problems(path)
    assert "demo_meld.frames.count: got 0; Input should be greater than or equal to 1" in told
    assert "demo_meld.text.pooling: got 'man'" in told
    assert "demo_meld.mcn_cl.haeds: unknown key; did you mean 'heads'?" in told
    assert "demo_meld.tfdif: unknown section; did you mean 'tfidf'?" in told
    assert "demo_meld.tfidf: missing" in told
    every = "{demo_meld,demo_iemocap,meld,meld_text,iemocap,iemocap_text,cremad}"
    assert told.count("warmup") == 1, "what corpora share is named once"
    assert f"{every}.finetune.warmup: got 2; Input should be less than 1" in told


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = changed(tmp_path, ("    psa_groups: 4\n", ""))
    assert ".mcn_cl.psa_groups: missing" in problems(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "corpora: [demo_meld, demo_iemocap]",
            "corpora: demo_meld",
            "expected a list of different names",
        ),
        ("corpora: [demo_meld, demo_iemocap]", "corpora: []", "expected a list"),
        (
            "corpora: [demo_meld, demo_iemocap]",
            "corpora: [meldd]",
            "corpora: got 'meldd', which has no block here; did you mean 'meld'?",
        ),
        ("\nmeld:\n", "\nmcn_cl:\n", "mcn_cl: a section, expected inside the block of a corpus"),
        ("systems: [majority", "systems: [mayority", "systems: got 'mayority'; did you mean"),
        (
            "reference: mcn_cl",
            "reference: mcn_lc",
            "reference: got 'mcn_lc'; did you mean 'mcn_cl'",
        ),
        ("\nmeld:\n", "\n../meld:\n", "../meld: not a name of a corpus"),
        (
            "reader: meld",
            "reader: melt",
            "expected one of ['clips', 'cremad', 'emodb', 'emorynlp', ",
        ),
        ("test_twins: final", "test_twins: both", "demo_meld.corpus.test_twins: got 'both'"),
        ("letterbox: 0.2333", "letterbox: 0.5", "demo_iemocap.corpus.letterbox: got 0.5"),
        (
            "label_policy: consensus",
            "label_policy: all",
            "expected one of ['consensus', 'erc7433']",
        ),
        ("validation: fraction", "validation: cosmic", "do not use valid_fraction: set it to null"),
        (
            "encoder: mobilenet_v2",
            "encoder: mobilnet",
            "expected one of ['mobilenet_v2', 'resnet101']",
        ),
        (
            "encoder: mobilenet_v2",
            "encoder: ResNet50_Weights.DEFAULT",
            "demo_meld.visual.encoder: got 'ResNet50_Weights.DEFAULT', which changes",
        ),
        (
            "encoder: all-MiniLM-L6-v2",
            "encoder: FacebookAI/roberta-base",
            "demo_meld.text.encoder: got 'FacebookAI/roberta-base', which names no commit",
        ),
        ("encoder: null", "encoder: wav2vec2", "demo_meld.audio.encoder: got 'wav2vec2', expected"),
        ("extractor: opensmile", "extractor: speech", "extractor speech needs an encoder"),
        ("feature_set: ComParE_2016", "feature_set: ComParE", ".audio.feature_set: got"),
        ("encoder: yunet", "encoder: resnet101", "demo_meld.faces.encoder: got 'resnet101'"),
        ("    enabled: false", "    enabled: maybe", ".finetune.enabled: got 'maybe'"),
        ("label_set: emotion", "label_set: mood", "expected one of ['all', 'emotion', 'five'"),
        (
            "label_set: six",
            "label_set: sentiment",
            "demo_iemocap.protocol.label_set: got 'sentiment', expected one of "
            "['all', 'four', 'four_no_exc', 'six'], those of IEMOCAP",
        ),
        (
            "label_policy: consensus",
            "label_policy: erc7433",
            "demo_meld.protocol.label_policy: got 'erc7433', expected one of ['consensus'], those "
            "of MELD",
        ),
        ("validation: fraction", "validation: half", "one of ['cosmic', 'fraction', 'last_20']"),
        ("modalities: [text, audio, visual]", "modalities: [text]", "expected a modality that is"),
        ("*mcn_cl], width: 64", "*mcn_cl], width: 66", "not a multiple"),
        ("denominator: positives_and_hard", "denominator: all", "has no hard negatives"),
        ("regularisation: [0.001,", "regularisation: [0.0,", "regularisation.0: got 0.0"),
        ("seeds: [1, 2, 3]", "seeds: [1, 1]", "names a seed twice"),
        ("threads: 2", "threads: two", "compute.threads: got 'two'"),
        (
            "patience: 12\n    learning_rate: 0.001",
            "patience: 12\n    learning_rate: .nan",
            ".mcn_cl.learning_rate",
        ),
    ],
)
def test_each_problem_says_what_was_got_and_expected(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in problems(changed(tmp_path, (old, new)))


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "a: 1\na: 2"])
def test_what_is_no_mapping_is_told_without_a_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    assert str(path) in problems(path)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("    rank: 4\n", "    rank: 4\n    rank: 5\n", "rank"),
        ("  lmf: {<<: [*demo_train", "  tfn: {<<: [*demo_train", "tfn"),
        ("\ncremad:\n", "\nmeld:\n", "meld"),
        ("*lmf, batch_size: 1}", "*lmf, batch_size: 1, batch_size: 2}", "batch_size"),
    ],
)
def test_a_key_that_is_written_twice_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    path = changed(tmp_path, (old, new))
    told = problems(path)
    assert str(path) in told
    assert f" writes key '{key}' again" in told and "line " in told


def test_exponents_are_numbers_as_for_dvc(tmp_path: Path) -> None:
    path = changed(tmp_path, ("learning_rate: 0.001", "learning_rate: 1e-3"))
    assert read_params(path).system("demo_meld", "mcn_cl").learning_rate == 1e-3


def test_an_encoder_is_not_fine_tuned_across_folds(tmp_path: Path) -> None:
    text = TEXT.replace("corpora: [demo_meld, demo_iemocap]", "corpora: [demo_iemocap]")
    text = text.replace("    splits: session5", "    splits: leave_one_session_out", 1)
    off, on = "finetune: {<<: *finetune}", "finetune: {<<: *finetune, enabled: true}"
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(off, on, 1), encoding="utf-8")
    assert read_params(path).corpora == ["demo_iemocap"], "demo_meld's, which is not run"
    path.write_text(text.replace(off, on, 2), encoding="utf-8")
    assert "one encoder for all folds would have seen the test dialogues" in problems(path)


def test_lora_without_its_package_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ("    enabled: false", "    enabled: true"), ("lora_rank: 0", "lora_rank: 8")
    path = changed(tmp_path, *changes)
    assert read_params(path)
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "another machine's"))
    monkeypatch.setattr("pipeline.features.agreement.find_spec", lambda name: None)
    assert "demo_meld.finetune.lora_rank: got 8, which needs the package peft" in problems(path)


def test_a_file_that_was_found_right_is_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "cache"))
    path = changed(tmp_path)
    first = read_params(path)
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.base.params.checked", lambda *_: pytest.fail("checked again"))
        assert read_params(path) == first
    path.write_text(TEXT.replace("count: 4", "count: 0", 1), encoding="utf-8")
    assert "demo_meld.frames.count: got 0" in problems(path), "another file"


def test_a_damaged_verdict_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERC_CACHE", str(tmp_path / "cache"))
    path = changed(tmp_path)
    first = read_params(path)
    (verdict,) = (tmp_path / "cache/params").iterdir()
    verdict.write_text("{")
    assert read_params(path) == first


def bomb(link: str) -> str:
    """Lists or mappings each of which stands nine times for the one before."""
    opened = "[{}]" if link == "list" else "{{<<: [{}]}}"
    lines = ["a0: &a0 [x]" if link == "list" else "a0: &a0 {x: y}"]
    for n in range(1, 12):
        lines.append(f"a{n}: &a{n} " + opened.format(", ".join([f"*a{n - 1}"] * 9)))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        *(bomb("list"), bomb("merge"), "a: &a [*a]\n", "a: &a {b: {<<: *a}}\n"),
        "a: " + "[" * 200_000,
        "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 3000)).replace("*a0", ""),
    ],
)
def test_aliases_that_stand_for_gigabytes_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text() + text)
    with pytest.raises(PipelineError, match=r"as YAML: (its aliases stand|it is nested too)"):
        read_params(path)
    pin(["-m", "demo_meld"], path)  # reads it first, and leaves the message to the check


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x; touch f;", "../../../victim", ".", "-x", "a b", "a" * 65, ""])
def test_names_that_are_no_corpora_are_refused_with_and_without_a_block(
    tmp_path: Path, name: str
) -> None:
    content = YAML(typ="safe").load(PARAMS.read_text())
    for blocks in ({}, {name: content["demo_meld"]}):
        text = dumped({**content, "corpora": [name], "demos": [name], **blocks})
        (tmp_path / "params.yaml").write_text(text)
        with pytest.raises(PipelineError, match=r"not a name of a corpus|has no block here"):
            read_params(tmp_path / "params.yaml")
