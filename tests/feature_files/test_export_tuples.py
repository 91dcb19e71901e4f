"""Exported tuples, read by position as the repositories read them."""

import pickle
import pickletools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.feature_files.export import LAYOUTS, README, export
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import Protocol
from tests.feature_files.foreign_loaders import FILES, load_tuples
from tests.feature_files.small_corpora import CLASSES, SPEECH, corpus

KEYS = {
    "meld": [0, 61, 1042, 1432],
    "iemocap": ["Ses01F_impro01", "Ses02M_script01_1", "Ses04M_impro02", "Ses05F_impro03"],
    "emorynlp": ["1_2_3", "1_2_13", "2_11_1"],
}
ONE_OF_NINE = [[int(place == k) for place in range(9)] for k in range(9)]


def exported(folder: Path, layout: str, kind: str) -> dict:
    export(layout, corpus(kind), folder / layout)
    return load_tuples(folder / layout, layout, kind)


@pytest.mark.parametrize(("layout", "kind"), FILES)
def test_every_element_stands_where_the_code_looks_for_it(
    tmp_path: Path, layout: str, kind: str
) -> None:
    found = exported(tmp_path, layout, kind)
    keys, speech = KEYS[kind], SPEECH[kind]
    turns = {
        key: [t for t in turns if t[2] != "xxx"]
        for key, (_, _, turns) in zip(keys, speech, strict=True)
    }
    assert list(found["labels"]) == keys
    assert found["labels"] == {
        key: [CLASSES[kind].index(code) for *_, code in said] for key, said in turns.items()
    }
    if "sentences" in found:
        assert found["sentences"][keys[0]][0] == f"“Well”, said {turns[keys[0]][0][1]},\r\n0 times"
    lists = {"train": found["train"], "test": found["test"]}
    if layout == "cosmic":
        assert found["valid"] == [keys[-2]] and found["train"] == sorted(keys[:-2])
    else:
        assert found["train"] == sorted(keys[:-1])
    assert found["test"] == [keys[-1]] and all(type(value) is list for value in lists.values())
    for copy in ("text2", "text3", "text4"):
        if copy in found:
            assert all(np.array_equal(found[copy][key], found["text"][key]) for key in keys)


def test_melds_ids_are_numbers_and_speakers_are_numbered_within_the_dialogue(tmp_path):
    found = exported(tmp_path, "cfn_esa", "meld")
    assert found["ids"] == {0: [0, 2], 61: [1], 1042: [0, 1], 1432: [0, 1]}
    assert found["speakers"][1432] == found["speakers"][0] == ONE_OF_NINE[:2]
    assert found["speakers"][1042] == [ONE_OF_NINE[0]] * 2
    assert found["sentiments"] == {0: [1, 0], 61: [2], 1042: [2, 2], 1432: [2, 1]}


def test_iemocaps_speakers_are_letters_and_unlabelled_turns_are_left_out_and_counted(tmp_path):
    found = exported(tmp_path, "sdt", "iemocap")
    assert found["speakers"]["Ses01F_impro01"] == ["F"]
    assert found["ids"]["Ses04M_impro02"] == ["Ses04M_impro02_M001", "Ses04M_impro02_F003"]
    page = (tmp_path / "sdt" / README).read_text("utf-8")
    assert "1 of 8 utterances have no label and are left out" in page


def test_vectors_are_means_over_frames_and_missing_ones_zeros_that_are_listed(tmp_path):
    found = exported(tmp_path, "mmgcn", "meld")
    # Row 1 of the manifest has two frames, 1 and 2; row 2 none; row 5 three.
    assert found["visual"][0].tolist() == [[0, 0.5, 1, 1.5], [1.5, 0.5, 1, 1.5]]
    assert found["visual"][61].tolist() == [[0, 0, 0, 0]]
    assert found["visual"][1042].tolist() == [[3, 0.5, 1, 1.5], [4.5, 0.5, 1, 1.5]]
    assert found["audio"][0].tolist() == [[0, 0.5], [0, 0]]
    lines = (tmp_path / "mmgcn" / "missing.csv").read_text("utf-8").splitlines()
    assert lines == ["utterance,modality", "train/dia0_utt2,audio", "train/dia61_utt1,visual"]
    page = (tmp_path / "mmgcn" / README).read_text("utf-8")
    assert "| audio | 2 | 300 | 1 of 7 | a net \\| 2 | none |" in page
    assert "text, audio, visual: not as many features as expected; edit MMGCN train.py" in page


@pytest.mark.parametrize(("layout", "kind"), FILES)
def test_pickles_name_what_numpy_1_knows_and_hold_plain_objects(tmp_path, layout, kind):
    export(layout, corpus(kind), tmp_path / "out")
    for path in (tmp_path / "out").glob("*.pkl"):
        opcodes = list(pickletools.genops(path.read_bytes()))
        named = {arg for op, arg, _ in opcodes if op.name == "GLOBAL"}
        strings = [arg for op, arg, _ in opcodes if op.name == "SHORT_BINUNICODE"]
        assert named <= {"numpy.core.multiarray _reconstruct"}
        assert not any("numpy._" in str(arg) for _, arg, _ in opcodes)
        assert {s for s in strings if s.startswith("numpy")} <= {"numpy"}
        assert opcodes[0][1] == 4
        assert sum(op.name in ("GLOBAL", "STACK_GLOBAL") for op, *_ in opcodes) <= 3
        check_plain(pickle.loads(path.read_bytes()))


def check_plain(found):
    if isinstance(found, dict):
        assert type(found) is dict
        for key, value in found.items():
            assert type(key) in (int, str)
            check_plain(value)
    elif isinstance(found, (list, tuple)):
        for value in found:
            check_plain(value)
    else:
        assert found is None or type(found) in (int, str, np.ndarray), type(found)


def test_a_modality_that_was_not_extracted_is_zeros_as_wide_as_the_code_expects(tmp_path):
    whole = corpus("meld")
    text = replace(whole, stores={"text": whole.stores["text"]})
    export("mmgcn", text, tmp_path / "out")
    found = load_tuples(tmp_path / "out", "mmgcn", "meld")
    assert found["audio"][0].shape == (2, 300) and not found["audio"][0].any()
    page = (tmp_path / "out" / README).read_text("utf-8")
    assert "visual was not extracted: its vectors are zeros, 342 each." in page


def test_classes_are_numbered_in_the_fields_order_whatever_the_protocol_has(tmp_path):
    whole = corpus("iemocap")
    turned = tuple(reversed(whole.protocol.classes))
    entries = [
        replace(e, label=None if e.label is None else 5 - e.label) for e in whole.protocol.entries
    ]
    export("mmgcn", replace(whole, protocol=Protocol(turned, entries)), tmp_path / "out")
    assert load_tuples(tmp_path / "out", "mmgcn", "iemocap")["labels"]["Ses04M_impro02"] == [5, 1]


def test_the_first_of_several_folds_is_written_and_said(tmp_path):
    whole = corpus("iemocap")
    turned = {"train": "test", "valid": "valid", "test": "train"}
    second = [replace(e, fold=1, split=turned[e.split]) for e in whole.protocol.entries]
    both = Protocol(whole.protocol.classes, [*second, *whole.protocol.entries])
    export("mmgcn", replace(whole, protocol=both), tmp_path / "out")
    assert load_tuples(tmp_path / "out", "mmgcn", "iemocap")["test"] == ["Ses05F_impro03"]
    page = (tmp_path / "out" / README).read_text("utf-8")
    assert "The protocol has 2 folds; the splits are those of the first." in page


def refused(folder: Path, layout: str, given) -> str:
    with pytest.raises(PipelineError) as error:
        export(layout, given, folder / "out")
    assert list(folder.iterdir()) == [], "nothing may be left"
    return str(error.value)


def test_more_than_nine_speakers_are_refused_with_the_layouts_that_take_them(tmp_path):
    said = [(f"_utt{n}", f"guest {n}", "joy") for n in range(10)]
    many = corpus("meld", [("train/dia0", "train", said), *SPEECH["meld"][1:]])
    message = refused(tmp_path, "mmgcn", many)
    assert "train/dia0 has 10 speakers" in message and "places for 9" in message
    assert "neutral" in message and not [name for name in message.split() if name == "cosmic"]
    export("mertools", many, tmp_path / "fits")
    nine = corpus("meld", [("train/dia0", "train", said[:9]), *SPEECH["meld"][1:]])
    export("mmgcn", nine, tmp_path / "nine")
    assert load_tuples(tmp_path / "nine", "mmgcn", "meld")["speakers"][0] == ONE_OF_NINE


@pytest.mark.parametrize("dialogue", ["train/dia1039", "dev/dia114", "test/dia280"])
def test_a_dialogue_whose_key_would_be_another_splits_is_refused(tmp_path, dialogue):
    split = {"dev": "valid"}.get(dialogue.partition("/")[0], dialogue.partition("/")[0])
    more = [*SPEECH["meld"], (dialogue, split, [("_utt0", "Ross", "joy")])]
    message = refused(tmp_path, "sdt", corpus("meld", more))
    assert message.startswith(f"{dialogue}: MELD's files know the dialogues 0 to ")


def test_two_scenes_of_one_key_are_refused(tmp_path):
    twin = ("test/s01_e02_c03", "test", [("_u001", "Ross", "Mad")])
    message = refused(tmp_path, "cosmic", corpus("emorynlp", [*SPEECH["emorynlp"], twin]))
    assert "test/s01_e02_c03: this layout calls it 1_2_3, like a dialogue before" in message


def test_a_layout_with_sentiments_refuses_utterances_without(tmp_path):
    whole = corpus("meld")
    bare = replace(whole, utterances=[replace(u, sentiment=None) for u in whole.utterances])
    message = refused(tmp_path, "cfn_esa", bare)
    assert "train/dia0_utt0 has the sentiment None" in message and "mmgcn" in message


@pytest.mark.parametrize(
    ("kind", "layout", "others"),
    [
        ("other", "mmgcn", "mmsa, mertools, emobox, neutral"),
        ("emorynlp", "sdt", "cosmic, mmsa, mertools, emobox, neutral"),
    ],
)
def test_a_corpus_that_a_layout_does_not_know_is_refused_with_those_that_fit(
    tmp_path, kind, layout, others
):
    message = refused(tmp_path, layout, corpus(kind))
    assert f"my_{kind} cannot be exported as {layout}" in message
    assert message.endswith(f"Layouts that fit: {others}.")


def test_a_layout_of_text_refuses_a_corpus_of_sound(tmp_path):
    whole = corpus("meld")
    message = refused(tmp_path, "cosmic", replace(whole, stores={"audio": whole.stores["audio"]}))
    assert "the layout cosmic holds text, and of this corpus audio was extracted" in message
    assert refused(tmp_path, "neutral", replace(whole, stores={})).endswith("run `dvc repro`.")


def test_iemocap_with_other_speakers_is_no_iemocap(tmp_path):
    whole = corpus("iemocap")
    named: list[Utterance] = [replace(u, speaker="Ann") for u in whole.utterances]
    assert "mmgcn" in refused(tmp_path, "mmgcn", replace(whole, utterances=named))


def test_a_protocol_of_another_manifest_is_refused(tmp_path):
    whole = corpus("meld")
    message = refused(tmp_path, "mmgcn", replace(whole, utterances=whole.utterances[1:]))
    assert "run `dvc repro`" in message


def test_ids_of_position_are_written_as_they_are(tmp_path):
    said = [("#0", "train/dia0#0", "joy"), ("#1", "train/dia0#1", "fear")]
    export(
        "mmgcn",
        corpus("meld", [("train/dia0", "train", said), *SPEECH["meld"][1:]]),
        tmp_path / "o",
    )
    found = load_tuples(tmp_path / "o", "mmgcn", "meld")
    assert found["ids"][0] == ["train/dia0#0", "train/dia0#1"]


def test_every_layout_of_tuples_is_tested_here() -> None:
    tuples = {name for name, layout in LAYOUTS.items() if layout.kinds}
    assert {name for name, _ in FILES} == tuples
