"""The layouts that are no tuples: MMSA's dict, and the folders of MERTools, EmoBox and our own."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml

from pipeline.base.errors import PipelineError
from pipeline.base.settings import MODALITIES, Modality
from pipeline.feature_files.by_utterance import UNRATED
from pipeline.feature_files.classes import MERTOOLS_MELD
from pipeline.feature_files.exported import MELD_ID, Exported, Labelled, Written
from pipeline.feature_files.writing import write_npz, write_pickle, write_rows
from pipeline.records.features import FLOATS
from pipeline.records.manifest import Utterance
from pipeline.records.protocol import LEARNT, SPLITS

POLARITY = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
# CFN-ESA's and GraphSmile's rule for IEMOCAP, which has no sentiments.
IEMOCAP_POLARITY = {"hap": 1.0, "exc": 1.0, "neu": 0.0, "sad": -1.0, "ang": -1.0, "fru": -1.0}
CLIP = "$_$"  # between a video and a clip of it in MMSA's ids
MERTOOLS_SPLITS = {"train": "train", "dev": "val", "test": "test"}
LABEL_FILES = {6: "label_6way.npz", 4: "label_4way.npz"}  # of IEMOCAP, by number of classes
PARTS: dict[str, tuple[str, ...]] = {"train": ("train",), "val": ("valid",), "test": ("test",)}
# Corpora whose labels the neutral folder can be said to have; of others it has names alone.
KNOWN = ("iemocap", "meld", "emorynlp", "dailydialog", "mosi", "sims")


def write_mmsa(exported: Exported, folder: Path) -> Written:
    """Write MMSA's dict of splits.

    Raises:
        PipelineError: Nothing tells positive from negative.
    """
    rated = {t.utterance.utterance: _polarity(exported, t) for t in exported.first_fold}
    turns = [t for t in exported.first_fold if rated[t.utterance.utterance] is not None]
    if not turns:
        raise PipelineError(
            f"{exported.corpus} has no sentiment (negative, neutral, positive) and no valence, "
            "which MMSA regresses on. Layouts of emotions: mertools, emobox, neutral."
        )
    content = {}
    for split in SPLITS:
        chosen = [turn.utterance for turn in turns if turn.split == split]
        text, audio, visual = (_padded(exported, m, turns, chosen) for m in MODALITIES)
        content[split] = {
            "id": [_clip_id(u) for u in chosen],
            "raw_text": [u.text for u in chosen],
            "text": text,
            "audio": audio,
            "vision": visual,
            "audio_lengths": _lengths(exported, "audio", chosen),
            "vision_lengths": _lengths(exported, "visual", chosen),
            "regression_labels": np.array([rated[u.utterance] for u in chosen], FLOATS),
        }
    with (folder / "unaligned_50.pkl").open("wb") as file:
        write_pickle(file, content)
    remarks = [
        "regression_labels: negative -1, neutral 0, positive 1; of IEMOCAP happy and excited 1, "
        "sad, angry and frustrated -1; where a corpus has neither, its valence.",
        "MMSA takes it under the name of a data set that it knows (mosi, mosei, sims) with "
        "need_data_aligned false. Models with BERT want text_bert, which is not in it.",
    ]
    if left := len(rated) - len(turns):
        remarks.append(f"{left} labelled utterances have no sentiment and were left out.")
    return Written(
        files={
            "unaligned_50.pkl": f"train, valid and test, each with {', '.join(content['train'])}"
        },
        classes=(),
        utterances=[turn.utterance for turn in turns],
        modalities=MODALITIES,
        remarks=remarks,
    )


def _polarity(exported: Exported, turn: Labelled) -> float | None:
    u = turn.utterance
    if u.sentiment is not None:
        return POLARITY.get(u.sentiment)
    return IEMOCAP_POLARITY.get(turn.label) if exported.kind == "iemocap" else u.valence


def _clip_id(u: Utterance) -> str:
    return u.utterance if CLIP in u.utterance else f"{u.dialogue}{CLIP}{u.turn}"


def _lengths(exported: Exported, modality: Modality, utterances: Sequence[Utterance]) -> list[int]:
    return [max(1, len(exported.vectors(modality, u))) for u in utterances]


def _padded(
    exported: Exported, modality: Modality, turns: Sequence[Labelled], chosen: Sequence[Utterance]
) -> np.ndarray:
    """[utterance, frame, feature], zeros after the last frame; as long in each split."""
    longest = max(_lengths(exported, modality, [turn.utterance for turn in turns]))
    padded = np.zeros((len(chosen), longest, exported.width(modality)), FLOATS)
    for row, u in zip(padded, chosen, strict=True):
        frames = exported.vectors(modality, u)
        row[: len(frames), : frames.shape[1]] = frames
    return padded


def write_mertools(exported: Exported, folder: Path) -> Written:
    """Write MERTools' folder: a file per utterance and modality, labels, transcriptions."""
    turns = exported.first_fold
    utterances = [turn.utterance for turn in turns]
    names = _file_names(exported, utterances, _mertools_name)
    modalities = tuple(m for m in MODALITIES if m in exported.stores)
    for modality in modalities:
        place = folder / "features" / f"{modality}-UTT"
        _write_vectors(place, names, exported.pooled(modality, utterances))
    classes, label_file, parts = exported.classes, "label.npz", PARTS
    if set(classes) == set(MERTOOLS_MELD):
        classes = MERTOOLS_MELD
    if exported.kind == "iemocap":
        label_file, parts = LABEL_FILES.get(len(classes), label_file), {"whole": SPLITS}
    labels = {
        f"{part}_corpus": {
            name: {"emo": classes.index(turn.label), "val": UNRATED}
            for name, turn in zip(names, turns, strict=True)
            if turn.split in splits
        }
        for part, splits in parts.items()
    }
    write_npz(folder / label_file, {part: np.array(rows, object) for part, rows in labels.items()})
    texts = [(n, None, turn.utterance.text) for n, turn in zip(names, turns, strict=True)]
    transcription = "transcription-engchi-polish.csv"
    write_rows(folder / transcription, ("name", "chinese", "english"), texts)
    return Written(
        files={f"features/{m}-UTT": "<name>.npy, a vector of each utterance" for m in modalities}
        | {label_file: ", ".join(labels), transcription: "the words"},
        classes=classes,
        utterances=utterances,
        modalities=modalities,
        remarks=["Set the folder in DATA_DIR of MERBench/config.py."],
    )


def _mertools_name(u: Utterance) -> str:
    match = MELD_ID.fullmatch(u.utterance)
    return f"{MERTOOLS_SPLITS[match[1]]}_{match[2]}" if match else u.utterance


def write_emobox(exported: Exported, folder: Path) -> Written:
    """Write EmoBox's folder: the frames of each utterance's sound, and the lists of each fold."""
    turns, known = exported.first_fold, exported.kind in ("iemocap", "meld")
    name = exported.kind if known else exported.corpus
    utterances = [turn.utterance for turn in turns]
    keys = [f"{name}-{key}" for key in _file_names(exported, utterances, _emobox_name)]
    blank = np.zeros((1, exported.width("audio")), FLOATS)
    frames = (exported.vectors("audio", u) for u in utterances)
    _write_vectors(folder / "features", keys, (f if len(f) else blank for f in frames))
    key_of = {u.utterance: key for u, key in zip(utterances, keys, strict=True)}
    parts: dict[str, tuple[str, ...]] = {split: (split,) for split in SPLITS}
    remarks = []
    if exported.kind == "iemocap":
        parts = {"train": LEARNT, "test": ("test",)}
        remarks = ["train holds the validation part as well, as EmoBox' lists of IEMOCAP do."]
    for number, fold in enumerate(exported.protocol.folds, start=1):
        place = folder / "data" / name / f"fold_{number}"
        place.mkdir(parents=True)
        labelled = exported.labelled(fold)
        for part, splits in parts.items():
            text = "".join(_line(name, key_of, t) for t in labelled if t.split in splits)
            file = place / f"{name}_{part}_fold_{number}.jsonl"
            file.write_text(text, "utf-8", newline="\n")
    whole = "".join(_line(name, key_of, turn) for turn in turns)
    (folder / f"{name}.jsonl").write_text(whole, "utf-8", newline="\n")
    label_map = json.dumps({label: label for label in exported.classes}, ensure_ascii=False)
    (folder / "data" / name / "label_map.json").write_text(label_map + "\n", "utf-8", newline="\n")
    return Written(
        files={
            "features": "<key>.npy, [frame, feature] of each utterance",
            f"{name}.jsonl": "every utterance, with its label",
            f"data/{name}": "fold_*: the lists; label_map.json: `emo` to class",
        },
        classes=(),
        utterances=utterances,
        modalities=("audio",),
        remarks=remarks,
    )


def _line(dataset: str, key_of: dict[str, str], turn: Labelled) -> str:
    u = turn.utterance
    length = None if u.audio is None or u.audio.end is None else u.audio.end - u.audio.start
    line = {
        "key": key_of[u.utterance],
        "dataset": dataset,
        "wav": None if u.audio is None else u.audio.path,
        "type": "raw",
        "sample_rate": None,
        "num_frame": None,
        "task": "category",
        "length": length,
        "emo": turn.label,
        "channel": None,
    }
    return json.dumps(line, ensure_ascii=False) + "\n"


def _emobox_name(u: Utterance) -> str:
    match = MELD_ID.fullmatch(u.utterance)
    return f"{match[2]}-{match[1]}" if match else u.utterance


def _file_names(
    exported: Exported, utterances: Sequence[Utterance], name: Callable[[Utterance], str]
) -> list[str]:
    """A name of a file for each utterance, `/` as `__`."""
    names = [name(u).replace("/", "__") for u in utterances]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise PipelineError(
            f"Two utterances of {exported.corpus} would share the file {twice}.npy, in whose name "
            "`/` is `__`: rename one, or export as neutral."
        )
    return names


def _write_vectors(folder: Path, names: Sequence[str], arrays: Iterable[np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for name, array in zip(names, arrays, strict=True):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def write_neutral(exported: Exported, folder: Path) -> Written:
    """Write our own layout, which keeps every utterance, every frame and the raw codes."""
    utterances = exported.utterances
    facts = ("utterance", "dialogue", "turn", "speaker", "text", "sentiment", "session")
    columns = [*facts, "emotion", "split"]
    rows = (
        [*(getattr(u, fact) for fact in facts), emotion, u.official_split]
        for u, emotion in zip(utterances, exported.emotions, strict=True)
    )
    write_rows(folder / "utterances.csv", columns, rows)
    modalities = tuple(m for m in MODALITIES if m in exported.stores)
    members = {m: _members(exported, m) for m in modalities}
    for modality in modalities:
        write_npz(folder / f"{modality}.npz", members[modality])
    about = {
        "corpus": exported.reader if exported.reader in KNOWN else "other",
        "classes": list(exported.classes),
        "label_policy": exported.label_policy,
        "modalities": {
            modality: {
                "encoder": exported.made_with[modality],
                "trained_on": exported.trained_on[modality],
                "granularity": "frame" if "offsets" in members[modality] else "utterance",
                "source": exported.corpus,
            }
            for modality in modalities
        },
    }
    text = yaml.safe_dump(about, sort_keys=False, allow_unicode=True)
    (folder / "about.yaml").write_text(text, "utf-8", newline="\n")
    return Written(
        files={"about.yaml": "classes and encoders", "utterances.csv": ", ".join(columns)}
        | {f"{m}.npz": ", ".join(members[m]) for m in modalities},
        classes=(),
        utterances=utterances,
        modalities=modalities,
        remarks=["It has no column of ratings (valence, activation, dominance) and votes."],
    )


def _members(exported: Exported, modality: Modality) -> dict[str, np.ndarray]:
    """The present utterances and their vectors, with `offsets` where one has several."""
    store = exported.stores[modality]
    frames = {u.utterance: exported.vectors(modality, u) for u in exported.utterances}
    present = {name: rows for name, rows in frames.items() if len(rows)}
    values = np.concatenate(list(present.values())) if present else store.values[:0]
    members = {"ids": np.array(list(present), str), "values": values}
    counts = [len(rows) for rows in present.values()]
    if set(counts) <= {1}:
        return members
    return members | {"offsets": np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])}
