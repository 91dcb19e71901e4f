"""Every layout of published files: what is read of it, and what is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.feature_files.contents import Contents
from pipeline.feature_files.read import read
from pipeline.feature_files.summary import facts
from tests.conftest import ROOT
from tests.feature_files.published import (
    ELEMENTS,
    MELD,
    SIX,
    Python2,
    Skeleton,
    emorynlp,
    iemocap,
    iemocap_sizes,
    meld,
    mmsa,
    write,
    write_json_lists,
    write_mertools,
)

OF_MELD = ("meld_9", "meld_10", "sdt_13", "cfn_esa_14", "cosmic_11", "skeleton_7")
LAYOUTS = {
    "iemocap_9": "mmgcn", "meld_9": "dialogue_rnn", "meld_10": "mmgcn", "sdt_12": "sdt",
    "sdt_13": "sdt", "cfn_esa_14": "cfn_esa", "cosmic_10": "cosmic", "cosmic_11": "cosmic",
    "skeleton_6": "skeleton", "skeleton_7": "skeleton", "gcnet_6": "skeleton",
}  # fmt: skip


def skeleton_of(name: str) -> Skeleton:
    return meld() if name in OF_MELD else iemocap()


def read_file(folder: Path, content: Any, name: str = "x.pkl", **given: Any) -> Contents:
    return read(write(folder / name, content), **given)


def refusal(folder: Path, content: Any, name: str = "x.pkl", **given: Any) -> str:
    with pytest.raises(PipelineError) as error:
        read_file(folder, content, name, **given)
    return str(error.value)


def column(contents: Contents, name: str) -> list[Any]:
    return [getattr(turn, name) for turn in contents.turns]


@pytest.mark.parametrize("name", ELEMENTS)
def test_elements_of_a_published_tuple_are_what_its_layout_says(tmp_path: Path, name: str) -> None:
    made, classes = skeleton_of(name), MELD if name in OF_MELD else SIX
    elements = dict(zip(ELEMENTS[name].split(), made.file(name), strict=True))
    contents = read_file(tmp_path, tuple(elements.values()), classes=classes)
    assert (contents.layout, contents.corpus) == (
        LAYOUTS[name],
        "meld" if name in OF_MELD else "iemocap",
    )
    vectors = {n for n in ("text", "text2", "text3", "text4", "audio", "visual") if n in elements}
    assert set(contents.vectors) == vectors
    for modality in vectors:
        flat = np.concatenate(list(elements[modality].values()))
        assert np.array_equal(np.concatenate(contents.vectors[modality]), flat)
        assert contents.vectors[modality][0].dtype == np.float32
    flat = [classes[label] for labels in made.emotion.values() for label in labels]
    assert column(contents, "emotion") == flat
    assert column(contents, "text") == [text for texts in made.sentences.values() for text in texts]
    with_ids = "ids" in elements
    assert (column(contents, "utterance") != [None] * len(contents.turns)) == with_ids


def test_a_file_of_iemocap_gives_persons_sessions_and_its_own_split(tmp_path: Path) -> None:
    contents = read_file(tmp_path, iemocap().file("iemocap_9"), classes=SIX)
    assert column(contents, "speaker")[:2] == ["Ses01F", "Ses01M"]
    assert set(column(contents, "session")) == {"1", "2", "3", "4", "5"}
    assert set(column(contents, "split")) == {None}
    assert contents.turns[1].utterance == "Ses01F_impro01_M001"
    assert contents.as_file == {
        f"Ses0{n}F_impro01": "test" if n == 5 else "train" for n in range(1, 6)
    }
    assert contents.label_policy == "erc7433" and contents.label_sets is None


def test_a_file_of_meld_gives_dev_back_out_of_the_training_list(tmp_path: Path) -> None:
    contents = read_file(tmp_path, meld().file("meld_10"))
    dialogues = list(dict.fromkeys(column(contents, "dialogue")))
    assert dialogues == [
        "train/dia0", "train/dia59", "train/dia61", "train/dia1038",
        "dev/dia0", "dev/dia113", "test/dia0", "test/dia279",
    ]  # fmt: skip
    assert {t.split for t in contents.turns if t.dialogue.startswith("dev/")} == {"dev"}
    assert contents.as_file["dev/dia0"] == "train" and contents.as_file["test/dia279"] == "test"
    assert contents.turns[0].utterance == "train/dia0_utt1"
    assert "2 dev dialogues" in contents.remarks[0]
    of_cosmic = read_file(tmp_path, list(meld().file("cosmic_11")))
    assert of_cosmic.as_file["dev/dia0"] == "valid" and not of_cosmic.turns[0].utterance


def test_speakers_are_numbered_by_dialogue_in_the_order_in_which_they_speak(tmp_path: Path) -> None:
    made = meld()
    made.speakers[0] = [[0] * 4 + [1] + [0] * 4, [1] + [0] * 8, [0] * 4 + [1] + [0] * 4]
    contents = read_file(tmp_path, made.file("meld_10"))
    assert column(contents, "speaker")[:3] == ["train/dia0#0", "train/dia0#1", "train/dia0#0"]


@pytest.mark.parametrize("as_text", [False, True])
def test_keys_and_ids_of_meld_may_be_numbers_or_texts(tmp_path: Path, as_text: bool) -> None:
    made = meld()
    if as_text:
        for name, element in vars(made).items():
            if isinstance(element, dict):
                setattr(made, name, {str(key): value for key, value in element.items()})
        made.ids = {key: [f"dia{key}_utt{u}" for u in ids] for key, ids in made.ids.items()}
        made.ids = {
            k: v if int(k) < 1039 else [u.split("utt")[1] for u in v] for k, v in made.ids.items()
        }
    contents = read_file(tmp_path, made.file("meld_10"))
    assert column(contents, "utterance")[:2] == ["train/dia0_utt1", "train/dia0_utt3"]


def test_rows_may_be_lists_of_arrays_of_numbers_and_arrays_of_objects(tmp_path: Path) -> None:
    made = iemocap()
    *head, text, audio, visual, sentences, train, test = made.file("iemocap_9")
    as_objects = {}
    for key, rows in visual.items():
        as_objects[key] = np.empty(len(rows), object)
        as_objects[key][:] = list(rows)
    lists = {key: [list(map(float, row)) for row in rows] for key, rows in audio.items()}
    arrays = {key: list(rows) for key, rows in text.items()}
    contents = read_file(tmp_path, [*head, arrays, lists, as_objects, sentences, [*train], test])
    for name, rows in (("text", text), ("audio", audio), ("visual", visual)):
        assert np.array_equal(
            np.concatenate(contents.vectors[name]), np.concatenate([*rows.values()])
        )
    assert contents.vectors["audio"][0].dtype == np.float64


def test_a_turn_alone_may_have_its_vector_bare(tmp_path: Path) -> None:
    made = iemocap({"Ses01F_impro01": 1, "Ses05F_impro01": 3})
    elements = list(made.file("iemocap_9"))
    elements[3]["Ses01F_impro01"] = elements[3]["Ses01F_impro01"][0]
    assert read_file(tmp_path, elements).vectors["text"][0].shape == (1, 7)
    elements[3]["Ses01F_impro01"] = np.ones(3, "f4")
    assert "in 1 dialogues: Ses01F_impro01" in refusal(tmp_path, elements)


def test_a_file_of_python_2_is_read(tmp_path: Path) -> None:
    made = iemocap()
    (tmp_path / "x.pkl").write_bytes(Python2().pickle(made.file("iemocap_9")))
    contents = read(tmp_path / "x.pkl")
    assert len(contents.turns) == 35 and contents.vectors["visual"][0].shape == (1, 5)


def test_zeros_and_nan_are_left_as_they_are_and_counted(tmp_path: Path) -> None:
    elements = meld().file("meld_10")
    elements[5][0][0] = 0
    elements[5][1039][1] = 0
    elements[5][1153][:] = 3
    elements[4][0][1, 2] = np.nan
    elements[4][0][2, 2] = -np.inf
    contents = read_file(tmp_path, elements)
    assert not contents.vectors["visual"][0].any() and np.isnan(contents.vectors["audio"][1][0, 2])
    figures = dict(facts(contents))
    assert figures["visual: zero in all features"] == "train 1, dev 1"
    assert figures["visual: one value in all features"] == "3 turns"
    assert figures["audio: NaN or infinite"] == "2 turns"
    assert figures["visual: features"] == "5, float32"
    assert figures["turns"] == "34" and figures["dialogues"] == "8"
    assert "neutral" not in figures["emotion, train"]


def test_layouts_of_emorynlp_and_dailydialog_are_told_by_keys_and_speakers(tmp_path: Path) -> None:
    contents = read_file(tmp_path, list(emorynlp().file("cosmic_10")))
    assert contents.corpus == "emorynlp" and contents.turns[0].dialogue == "train/s04_e04_c11"
    assert {d.dialogue: d.split for d in contents.turns} == {
        "train/s04_e04_c11": "train", "dev/s01_e02_c03": "dev", "test/s10_e01_c02": "test"
    }  # fmt: skip
    daily = emorynlp()
    daily.speakers = {key: [str(n % 2) for n in range(len(v))] for key, v in daily.speakers.items()}
    contents = read_file(tmp_path, list(daily.file("cosmic_10")))
    assert contents.corpus == "dailydialog" and contents.turns[1].speaker == "4_4_11#1"
    assert column(contents, "split")[0] == "train"


def test_gcnets_file_of_mosi_has_ratings_and_no_speakers(tmp_path: Path) -> None:
    labels = {"v1": [np.float64(-1.5), np.float64(3)], "v2": [np.float64(0.25)]}
    ids = {"v1": ["v1_1", "v1_2"], "v2": ["v2_1"]}
    speakers = {"v1": ["", ""], "v2": [""]}
    sentences = {key: np.array(["some words"] * len(v)) for key, v in ids.items()}
    contents = read_file(tmp_path, [ids, labels, speakers, sentences, {"v1"}, {"v2"}, set()])
    assert contents.corpus == "mosi" and column(contents, "valence") == [-1.5, 3, 0.25]
    assert column(contents, "speaker") == [None] * 3 and contents.as_file == {
        "v1": "train",
        "v2": "valid",
    }


def test_the_split_and_order_do_not_depend_on_how_strings_are_hashed(tmp_path: Path) -> None:
    write(tmp_path / "x.pkl", iemocap().file("iemocap_9"))
    code = (
        "import sys, pathlib; from pipeline.feature_files.read import read;"
        "c = read(pathlib.Path(sys.argv[1])); print(c.turns, c.as_file, c.remarks)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "x.pkl")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(printed) == 1 and "Ses01F_impro01" in printed.pop()


# --- what must be refused ----------------------------------------------------------------------


def renumbered(made: Skeleton, key: Callable[[int], int]) -> Skeleton:
    for name, element in vars(made).items():
        by_key = isinstance(element, dict)
        new = {key(k): v for k, v in element.items()} if by_key else [key(k) for k in element]
        setattr(made, name, new)
    return made


def test_keys_of_meld_that_were_renumbered_are_refused(tmp_path: Path) -> None:
    gap_closed = renumbered(meld(), lambda key: key - (key > 60))
    assert "key 60" in refusal(tmp_path, gap_closed.file("meld_10"))
    without_60 = renumbered(meld(), lambda key: key - (key > 61))
    assert "1431" in refusal(tmp_path, without_60.file("meld_10"))
    beyond = renumbered(meld(), lambda key: key + (key == 1432))
    assert "1433" in refusal(tmp_path, beyond.file("meld_10"))
    shifted = meld()
    shifted.test, shifted.train = [0, 1432], [k for k in shifted.ids if k not in (0, 1432)]
    assert "2 dialogues on the other side" in refusal(tmp_path, shifted.file("meld_10"))


def mutations() -> dict[str, tuple[Callable[[dict[str, Any]], object], str]]:
    """What is done to the elements of an IEMOCAP file, and words of the error."""
    first, last = "Ses01F_impro01", "Ses05F_impro01"
    return {
        "a dialogue is lacking": (lambda e: e["audio"].pop(first), f"1 dialogues.*audio.*{first}"),
        "a dialogue is one row short": (
            lambda e: e["visual"].update({first: e["visual"][first][1:]}),
            rf"{first} \(5 turns, but 4 visual\)"),
        "a sentence is lacking": (lambda e: e["sentences"][last].pop(), "9 turns, but 8 sentences"),
        "a label is lacking": (lambda e: e["emotion"][last].pop(), "9 turns, but 8 emotion"),
        "a dialogue has no turn": (
            lambda e: [e[n].update({first: e[n][first][:0]}) for n in ONE], "no turns"),
        "a dialogue in both lists": (lambda e: e["test"].append(first), f"more than once: {first}"),
        "a dialogue twice in a list": (lambda e: e["test"].append(last), f"more than once: {last}"),
        "an unknown dialogue": (lambda e: e["test"].append("Ses05F_impro02"), "does not have"),
        "another width": (
            lambda e: e["text"].update({last: np.ones((9, 8), "f4")}), f"1 dialogues: {last}"),
        "another rank": (
            lambda e: e["text"].update({last: np.ones((9, 2, 7), "f4")}), r"shape \[2, 7\]"),
        "vectors in place of sentences": (
            lambda e: e.update(sentences=e["text"]), "element 6 to be sentences"),
        "sentences in place of vectors": (
            lambda e: e.update(audio=e["sentences"]), "element 4 to be audio"),
        "ids in place of sentences": (lambda e: e.update(sentences=e["ids"]), "6 to be sentences"),
        "labels and speakers exchanged": (
            lambda e: e.update(speakers=e["emotion"], emotion=e["speakers"]), "1 to be speakers"),
        "ratings for labels": (
            lambda e: e.update(emotion={k: [0.5] * len(v) for k, v in e["ids"].items()}),
            "ratings"),
        "ids of another dialogue": (
            lambda e: e["ids"].update({first: [i.replace("01F", "02F") for i in e["ids"][first]]}),
            "has a turn Ses02F"),
        "an id twice": (
            lambda e: e["ids"][first].__setitem__(2, e["ids"][first][0]), "more than once"),
        "speakers that are not those of the ids": (
            lambda e: e["speakers"][first].__setitem__(0, "M"), "not those of 1 ids: Ses01F"),
        "texts among vectors": (lambda e: e["text"].update({last: ["x"] * 9}), "3 to be text"),
        "no dict": (lambda e: e.update(text=None), "3 to be text"),
    }  # fmt: skip


ONE = ELEMENTS["iemocap_9"].split()[:7]


@pytest.mark.parametrize("name", mutations())
def test_parts_that_contradict_each_other_are_refused(tmp_path: Path, name: str) -> None:
    elements = dict(zip(ELEMENTS["iemocap_9"].split(), iemocap().file("iemocap_9"), strict=True))
    change, words = mutations()[name]
    change(elements)
    with pytest.raises(PipelineError, match=f"(?s){words}"):
        read_file(tmp_path, tuple(elements.values()))


def test_audio_and_visual_that_are_exchanged_are_noticed_by_their_dimensions(
    tmp_path: Path,
) -> None:
    widths = {"text": 100, "audio": 342, "visual": 1582}
    contents = read_file(tmp_path, iemocap().file("iemocap_9", widths))
    assert sum("are the two exchanged?" in remark for remark in contents.remarks) == 2
    widths = {"text": 100, "audio": 1582, "visual": 342}
    contents = read_file(tmp_path, iemocap().file("iemocap_9", widths))
    assert not any("exchanged" in remark for remark in contents.remarks)
    assert contents.trained_on == {"text": "train", "audio": "none", "visual": "none"}


@pytest.mark.parametrize(
    "content",
    [[1, 2], {}, [], "text", {"a": 1}, [{"a": [1]}] * 8, ({}, {}), {1: {2: 3}}, np.ones(3), None],
)
def test_what_is_no_layout_is_refused_with_what_it_is(tmp_path: Path, content: Any) -> None:
    text = refusal(tmp_path, content)
    assert "cannot be used" in text and "next:" in text


def test_the_elements_of_an_unknown_tuple_are_listed(tmp_path: Path) -> None:
    *elements, _ = iemocap().file("iemocap_9")
    text = refusal(tmp_path, tuple(elements))
    assert "sequence of 8 elements" in text
    assert "3: vectors, dict of 5, such as 'Ses01F_impro01': float32 array [5, 7]" in text
    assert "7: keys, list of 4" in text


def test_the_last_element_of_melds_tuples_is_read_where_it_is_sentiments(tmp_path: Path) -> None:
    made = meld()
    *elements, _ = made.file("meld_10")
    contents = read_file(tmp_path, (*elements, made.sentiment))
    assert column(contents, "sentiment")[:2] == ["neutral", "positive"]
    contents = read_file(tmp_path, (*elements, ["something"]))
    assert any("Element 9 is not read" in remark for remark in contents.remarks)


# --- MultiEMO, DAG-ERC, MELD's baseline --------------------------------------------------------


def multiemo(folder: Path, made: Skeleton, file: str) -> dict[str, Any]:
    widths = {"text": 768, "audio": 512, "visual": 1000}
    names = {"text": "TextFeatures", "audio": "AudioFeatures", "visual": "VisualFeatures"}
    rows = dict(zip(widths, made.elements(" ".join(widths), widths), strict=True))
    write(folder / "Speakers.pkl", made.file(file, dict.fromkeys(widths, 1)))
    for modality, content in rows.items():
        write(folder / f"{names[modality]}.pkl", dict(reversed(content.items())))
    return rows


def test_multiemos_folder_joins_speakers_and_vectors(tmp_path: Path) -> None:
    made = meld()
    rows = multiemo(tmp_path / "MELD", made, "meld_10")
    contents = read(tmp_path / "MELD", classes=MELD)
    assert (contents.layout, contents.corpus, contents.sha256) == ("multiemo", "meld", None)
    for modality, by_key in rows.items():
        flat = np.concatenate([by_key[key] for key in made.ids])
        assert np.array_equal(np.concatenate(contents.vectors[modality]), flat)
    assert contents.trained_on == {"text": "train", "audio": "unknown", "visual": "unknown"}
    write(
        tmp_path / "MELD" / "TextFeatures.pkl", {k: v for k, v in rows["text"].items() if k != 59}
    )
    with pytest.raises(PipelineError, match=r"1 dialogues .* train/dia59 \(0 for 6\)"):
        read(tmp_path / "MELD")


def test_one_of_multiemos_dicts_alone_has_vectors_and_no_labels(tmp_path: Path) -> None:
    rows = multiemo(tmp_path, iemocap(), "iemocap_9")
    contents = read(tmp_path / "VisualFeatures.pkl")
    assert set(contents.vectors) == {"visual"}
    assert {turn.session for turn in contents.turns} == set("12345")
    assert {t.emotion for t in contents.turns} == {t.speaker for t in contents.turns} == {None}
    assert set(read_file(tmp_path, rows["audio"], "x.pkl").vectors) == {"audio"}  # by 512 features
    odd = {key: value[:, :9] for key, value in rows["audio"].items()}
    assert "text, audio or visual" in refusal(tmp_path, odd)
    assert set(read_file(tmp_path, odd, modality="visual").vectors) == {"visual"}


def dag_erc_rows(name: str, labels: list[str | None]) -> list[dict[str, Any]]:
    rows = []
    for turn, label in enumerate(labels):
        row = {"text": f"Turn {turn}", "speaker": f"{name}_{'FM'[turn % 2]}", "cls": [0.5, 1, turn]}
        rows.append(row | ({} if label is None else {"label": label}))
    return rows


def test_dag_ercs_folder_of_iemocap_is_named_by_its_speakers(tmp_path: Path) -> None:
    lists = {
        "train": [dag_erc_rows("Ses01F_impro01", ["hap", None, "fru"])],
        "dev": [dag_erc_rows("Ses04F_impro02", ["sad"])],
        "test": [dag_erc_rows("Ses05M_script01_1b", ["neu", "exc"])],
    }
    write_json_lists(tmp_path / "IEMOCAP", lists)
    contents = read(tmp_path / "IEMOCAP")
    assert (contents.layout, contents.corpus) == ("dag_erc", "iemocap")
    assert column(contents, "emotion") == ["hap", None, "fru", "sad", "neu", "exc"]
    assert contents.turns[1].speaker == "Ses01M" and contents.turns[1].session == "1"
    assert contents.as_file["Ses04F_impro02"] == "valid"
    assert contents.vectors["text"][2].tolist() == [[0.5, 1.0, 2.0]]
    assert contents.label_policy == "consensus"


def test_dag_ercs_folder_of_other_corpora_keeps_places_and_names(tmp_path: Path) -> None:
    def rows(*labels: str) -> list[dict[str, Any]]:
        return [{"text": "a b", "speaker": "Ross", "label": label} for label in labels]

    lists = {"train": [rows("joy", "anger")], "dev": [rows("fear")], "test": [rows("neutral")]}
    write_json_lists(tmp_path / "a", lists)
    contents = read(tmp_path / "a")
    assert (
        contents.corpus == "meld" and contents.turns[0].speaker == "Ross" and not contents.vectors
    )
    whole = {
        split: [rows("joy")] * count
        for split, count in (("train", 1038), ("dev", 114), ("test", 280))
    }
    write_json_lists(tmp_path / "b", whole)
    named = column(read(tmp_path / "b"), "dialogue")
    assert named[59:61] == ["train/dia59", "train/dia61"] and named[1037:1039] == [
        "train/dia1038",
        "dev/dia0",
    ]
    write_json_lists(tmp_path / "d", {"train": [rows("hap", "sad")]})
    assert read(tmp_path / "d").corpus == "other"
    lists = {"train": [[{"text": "a"}]]}
    write_json_lists(tmp_path / "c", lists)
    with pytest.raises(PipelineError, match="expected a list of dialogues"):
        read(tmp_path / "c")


def test_melds_own_vectors_are_named_by_dialogue_and_utterance_id(tmp_path: Path) -> None:
    content = [
        {"0_3": np.ones(300), "0_1": np.zeros(300)},
        {"1_0": np.ones(300)},
        {"2_5": np.ones(300)},
    ]
    contents = read_file(tmp_path, content, "text_glove_average_emotion.pkl")
    assert column(contents, "utterance") == [
        "train/dia0_utt1", "train/dia0_utt3", "dev/dia1_utt0", "test/dia2_utt5"
    ]  # fmt: skip
    assert contents.trained_on == {"text": "none"}
    assert read_file(tmp_path, content, "audio_x.pkl").trained_on == {"audio": "train"}
    assert "text, audio or visual" in refusal(tmp_path, content, "x.pkl")


def test_the_padding_of_melds_contextual_vectors_is_taken_off(tmp_path: Path) -> None:
    padded = np.zeros((33, 600), "f4")
    padded[:4] = 1
    padded[1] = 0
    contents = read_file(
        tmp_path, [{"0": padded}, {"0": padded[:]}, {"7": padded}], "text_emotion.pkl"
    )
    assert column(contents, "dialogue") == ["train/dia0"] * 4 + ["dev/dia0"] * 4 + ["test/dia7"] * 4
    assert contents.turns[0].utterance is None and not contents.vectors["text"][1].any()


# --- MMSA, MERTools, EmoBox --------------------------------------------------------------------


def test_mmsas_dict_gives_clips_without_their_padding(tmp_path: Path) -> None:
    content = mmsa()
    contents = read_file(tmp_path, content)
    assert (contents.layout, contents.corpus) == ("mmsa", "mosi")
    assert [len(rows) for rows in contents.vectors["text"]][:4] == [1, 2, 3, 1]  # by the mask
    assert [len(rows) for rows in contents.vectors["audio"]][:4] == [1, 2, 3, 1]  # by lengths
    assert np.array_equal(contents.vectors["visual"][1], content["train"]["vision"][1, :2])
    turn = contents.turns[0]
    assert (turn.dialogue, turn.utterance, turn.split) == ("train0$_$1",) * 2 + ("train",)
    assert turn.valence == content["train"]["regression_labels"][0] and turn.text == "Clip 0."
    assert set(contents.trained_on.values()) == {"unknown"}, "only its bytes would show more"
    assert [*contents.as_file.values()][4] == "valid" and contents.turns[4].split == "dev"


def test_padding_without_lengths_is_what_is_zero_at_either_end(tmp_path: Path) -> None:
    content = mmsa(aligned=True)
    content["train"]["audio"][1] = content["train"]["audio"][1, ::-1]  # padded in front
    content["train"]["audio"][2, 1] = 0  # within
    content["train"]["audio"][3] = 0
    audio = read_file(tmp_path, content).vectors["audio"]
    assert [len(rows) for rows in audio[:4]] == [1, 2, 3, 1] and not audio[3].any()
    assert np.array_equal(audio[1], content["train"]["audio"][1, -2:])


def test_sims_is_told_by_the_labels_of_its_modalities(tmp_path: Path) -> None:
    assert read_file(tmp_path, mmsa(sims=True)).corpus == "sims"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.pop("id"), "lacks ['id']"),
        (lambda f: f["id"].pop(), "3 ids, 4 regression_labels"),
        (lambda f: f.update(audio=f["audio"][:3]), "4 clips"),
        (lambda f: f.update(audio_lengths=[1, 2, 3, 9]), "do not fit"),
        (lambda f: f.update(text_bert=np.ones((4, 50))), "text_bert"),
        (lambda f: f.update(id=["a", "a", "b", "c"]), "more than once: a"),
        (lambda f: f.update(regression_labels=["x"] * 4), "expected one of each clip"),
        (lambda f: f.update(regression_labels=[np.nan] * 4), "not numbers of 4"),
    ],
)
def test_fields_of_mmsa_that_do_not_fit_are_refused(
    tmp_path: Path, change: Any, words: str
) -> None:
    content = mmsa()
    change(content["train"])
    assert words in refusal(tmp_path, content)


def test_mertools_folder_is_read_by_its_labels_in_their_order(tmp_path: Path) -> None:
    made = iemocap()
    made.ids["Ses01F_impro01"].reverse()
    write_mertools(tmp_path / "f", made, lambda _, given: given)
    contents = read(tmp_path / "f", classes=SIX)
    assert (contents.layout, contents.corpus) == ("mertools", "iemocap")
    assert column(contents, "utterance")[:5] == made.ids["Ses01F_impro01"]
    assert column(contents, "emotion")[:5] == [SIX[n] for n in made.emotion["Ses01F_impro01"]]
    assert contents.turns[0].speaker == f"Ses01{made.ids['Ses01F_impro01'][0][-4]}"
    assert set(contents.vectors) == {"text", "audio"} and contents.vectors["text"][1].shape == (
        1,
        4,
    )
    (tmp_path / "f/text-UTT/Ses01F_impro01_F000.npy").unlink()
    assert sum(rows is None for rows in read(tmp_path / "f").vectors["text"]) == 1
    np.save(tmp_path / "f/text-UTT/Ses09F_impro01_F000.npy", np.ones(4))
    with pytest.raises(PipelineError, match="1 files are in none of its labels"):
        read(tmp_path / "f")


def test_a_folder_of_mertools_alone_shows_its_modality_by_its_encoder(tmp_path: Path) -> None:
    def name(key: int, given: int) -> str:
        split, first = next(s for s in (("test", 1153), ("val", 1039), ("train", 0)) if key >= s[1])
        return f"{split}_dia{key - first}_utt{given}"

    write_mertools(tmp_path / "f", meld(), name)
    folder = (tmp_path / "f/audio-UTT").rename(tmp_path / "chinese-hubert-large-UTT")
    contents = read(folder)
    assert set(contents.vectors) == {"audio"} and contents.corpus == "meld"
    assert contents.turns[0].utterance == "train/dia0_utt1" and contents.turns[0].emotion is None
    assert {turn.split for turn in contents.turns} == {"train", "dev", "test"}
    folder = folder.rename(tmp_path / "mine-UTT")
    with pytest.raises(PipelineError, match="nothing shows the modality of mine-UTT"):
        read(folder)
    assert set(read(folder, modality="visual").vectors) == {"visual"}


def test_a_folder_of_folders_of_frames_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for turn in ("Ses01F_impro01_F000", "Ses01F_impro01_M000"):
        (tmp_path / "face" / turn).mkdir(parents=True)
        for frame in range(3):
            np.save(tmp_path / "face" / turn / f"{frame:03}.npy", np.full(2, frame, "f4"))
    contents = read(tmp_path / "face")
    assert contents.vectors["visual"][0].tolist() == [[0, 0], [1, 1], [2, 2]]


def test_emobox_keys_give_ids_and_its_lines_labels(tmp_path: Path) -> None:
    keys = {"iemocap-Ses01F_impro04_F000": "hap", "iemocap-Ses05M_impro01_M002": "exc"}
    for key in keys:
        np.save(tmp_path / f"{key}.npy", np.ones((5, 3), "f4"))
    lines = [f'{{"key": "{key}", "emo": "{emo}"}}' for key, emo in keys.items()]
    (tmp_path / "iemocap_train.jsonl").write_text("\n".join(lines))
    contents = read(tmp_path)
    assert (contents.layout, contents.corpus) == ("emobox", "iemocap")
    assert column(contents, "emotion") == ["hap", "exc"] and contents.turns[1].session == "5"
    assert contents.vectors["audio"][0].shape == (5, 3)
    assert contents.label_sets == ("four", "four_no_exc")
    other = tmp_path / "meld"
    other.mkdir()
    np.save(other / "meld-dia3_utt1-dev.npy", np.ones((5, 3), "f4"))
    assert read(other).turns[0].utterance == "dev/dia3_utt1"


def test_of_several_label_files_the_smallest_that_knows_all_turns_is_taken(tmp_path: Path) -> None:
    write_mertools(tmp_path / "f", iemocap(), lambda _, given: given)
    (path,) = (tmp_path / "f").glob("*label*.npz")
    path.rename(tmp_path / "f/label-6way.npz")
    few = {"Ses01F_impro01_F000": {"emo": 0, "val": -10}}
    np.savez(tmp_path / "f/label-4way.npz", whole_corpus=np.array(few, dtype=object))
    assert len(read(tmp_path / "f", classes=SIX).turns) > 1


def test_names_of_classes_tell_what_a_file_of_iemocap_tells_apart(tmp_path: Path) -> None:
    def write(*names: str) -> Contents:
        turns = [f"Ses01F_impro01_F{n:03}" for n in range(len(names))]
        labels = {turn: {"emo": name} for turn, name in zip(turns, names, strict=True)}
        home = tmp_path / "-".join(names)
        (home / "x-audio-UTT").mkdir(parents=True)
        for turn in turns:
            np.save(home / f"x-audio-UTT/{turn}.npy", np.ones(3, "f4"))
        np.savez(home / "label.npz", whole_corpus=np.array(labels, dtype=object))
        return read(home)

    assert write("happy", "sad", "neutral", "angry").label_sets == ("four",)
    assert write("happy", "sad", "neutral", "angry", "excited", "frustrated").label_sets is None


def test_lists_of_a_corpus_that_nobody_knows_are_its_splits(tmp_path: Path) -> None:
    rows = {key: [np.ones(4, "f4")] * 2 for key in "abc"}
    numbers, words = {key: [0, 1] for key in "abc"}, {key: ["A b.", "C d."] for key in "abc"}
    sides = {key: [[1, 0], [0, 1]] for key in "abc"}
    contents = read_file(tmp_path, [sides, numbers, *[rows] * 4, words, ["a"], ["b"], ["c"]])
    assert [turn.split for turn in contents.turns] == [
        "train",
        "train",
        "test",
        "test",
        "dev",
        "dev",
    ]


# --- full size ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meld_10", "cfn_esa_14", "cosmic_11"])
def test_all_of_meld_is_read_with_its_published_counts(
    tmp_path: Path, shared: Path, name: str
) -> None:
    made = meld(shared)
    assert len(made.ids) == 1432 and max(made.ids) == 1432 and 60 not in made.ids
    contents = read_file(tmp_path, made.file(name))
    figures = dict(facts(contents))
    assert figures["turns by split"] == "train 9,989, dev 1,109, test 2,610"
    lists = "train 1,038, valid 114, test 280" if name == "cosmic_11" else "train 1,152, test 280"
    assert sorted(figures["dialogues as the file splits them"].split(", ")) == sorted(
        lists.split(", ")
    )
    for split in ("train", "dev", "test"):
        assert figures[f"emotion, {split}"].endswith("as published")
    assert contents.turns[-1].emotion in MELD
    assert not any("numbers" in remark for remark in contents.remarks)


def test_all_of_iemocap_is_read_with_its_published_counts(tmp_path: Path, shared: Path) -> None:
    made = iemocap(iemocap_sizes(shared))
    contents = read_file(tmp_path, made.file("iemocap_9"))
    figures = dict(facts(contents))
    assert figures["dialogues"] == "151" and figures["turns"] == "7,433"
    assert figures["speakers"] == "10 different"
    assert (
        figures["emotion, test"]
        == "hap 144, sad 245, neu 384, ang 170, exc 299, fru 381: as published"
    )
    assert contents.label_policy == "erc7433" and not contents.remarks


MEASURE = """
import pathlib, sys, time
start = time.time()
from pipeline.feature_files.read import read
from pipeline.feature_files.summary import facts
figures = dict(facts(read(pathlib.Path(sys.argv[1]))))
assert figures["turns"] == "13,708", figures
status = pathlib.Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0], time.time() - start)
"""


@pytest.mark.slow
def test_a_file_of_500_mb_takes_little_more_memory_than_its_size(
    tmp_path: Path, shared: Path
) -> None:
    made, width = meld(shared), 2280
    elements = made.elements(
        ELEMENTS["cosmic_11"], dict.fromkeys(ELEMENTS["cosmic_11"].split(), width)
    )
    rows = [
        {k: list(v) for k, v in e.items()} if i in (3, 4, 5, 6) else e
        for i, e in enumerate(elements)
    ]
    path = write(tmp_path / "meld_features_roberta.pkl", rows, numpy=2)
    size = path.stat().st_size
    assert size > 500e6
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    peak, seconds = map(float, ran.stdout.split())
    assert peak * 1024 < 1.2 * size + 200e6, (peak, size, seconds)
    sys.stdout.write(f"{size / 1e6:.0f} MB: {peak / 1024:.0f} MiB, {seconds:.1f} s\n")
