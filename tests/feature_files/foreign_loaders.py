"""Read exported files by position, as other repositories do: this imports nothing of ours.

`python tests/feature_files/foreign_loaders.py FOLDER` prints how much it read, with any numpy.
"""

import json
import pickle
import sys
from pathlib import Path

import numpy as np

# Length and positions, from tables of the repositories' own loaders.
NINE = {"ids": 0, "speakers": 1, "labels": 2, "text": 3, "audio": 4, "visual": 5, "sentences": 6}
TWELVE = {"ids": 0, "speakers": 1, "labels": 2, "text": 3, "text2": 4, "text3": 5, "text4": 6}
TWELVE.update({"audio": 7, "visual": 8, "sentences": 9, "train": 10, "test": 11})
FOURTEEN = {"ids": 0, "speakers": 1, "labels": 2, "sentiments": 3, "text": 4, "text2": 5}
FOURTEEN.update({"text3": 6, "text4": 7, "audio": 8, "visual": 9, "sentences": 10})
TEN = {"speakers": 0, "labels": 1, "text": 2, "text2": 3, "text3": 4, "text4": 5, "sentences": 6}
TEN.update({"train": 7, "test": 8, "valid": 9})
ELEVEN = {"speakers": 0, "labels": 1, "sentiments": 2, "text": 3, "text2": 4, "text3": 5}
ELEVEN.update({"text4": 6, "sentences": 7, "train": 8, "test": 9, "valid": 10})
BARE = {"speakers": 1, "labels": 2, "train": 7, "test": 8}
CFN = "multi_features_mmgcn_cosmic.pkl"
FILES = {
    ("mmgcn", "iemocap"): ("IEMOCAP_features.pkl", 9, {**NINE, "train": 7, "test": 8}),
    ("mmgcn", "meld"): ("MELD_features_raw1.pkl", 10, {**NINE, "train": 7, "test": 8}),
    ("sdt", "iemocap"): ("iemocap_multimodal_features.pkl", 12, TWELVE),
    ("sdt", "meld"): ("meld_multimodal_features.pkl", 13, TWELVE),
    ("cfn_esa", "iemocap"): (f"iemocap_{CFN}", 12, TWELVE),
    ("cfn_esa", "meld"): (f"meld_{CFN}", 14, {**FOURTEEN, "train": 11, "test": 12}),
    ("cosmic", "iemocap"): ("iemocap_features_roberta.pkl", 10, TEN),
    ("cosmic", "meld"): ("meld_features_roberta.pkl", 11, ELEVEN),
    ("cosmic", "emorynlp"): ("emorynlp_features_roberta.pkl", 10, TEN),
    ("multiemo", "iemocap"): ("Speakers.pkl", 9, BARE),
    ("multiemo", "meld"): ("Speakers.pkl", 10, BARE),
}


def unpickled(path):
    with Path(path).open("rb") as file:
        return pickle.load(file, encoding="latin1")


def load_tuples(folder, layout, kind):
    """Elements by name, vectors as arrays."""
    name, length, positions = FILES[layout, kind]
    content = unpickled(Path(folder) / name)
    assert len(content) == length, len(content)
    assert isinstance(content, list if layout == "cosmic" else tuple)
    found = {name: content[position] for name, position in positions.items()}
    if layout == "multiemo":
        for modality in ("text", "audio", "visual"):
            found[modality] = unpickled(Path(folder) / f"{modality.title()}Features.pkl")
    for name in [n for n in found if n.startswith(("text", "audio", "visual"))]:
        for key, rows in found[name].items():
            assert rows.dtype == np.float32 and rows.flags.c_contiguous and rows.ndim == 2
            assert len(rows) == len(found["labels"][key])
    return found


def load_labels(path):
    """MERTools' label file: 0-d object arrays of dicts."""
    with np.load(path, allow_pickle=True) as file:
        return {name: file[name].tolist() for name in file.files}


def load_lines(path):
    return [json.loads(line) for line in Path(path).read_text("utf-8").splitlines()]


def main():
    for path in sorted(Path(sys.argv[1]).rglob("*")):
        if path.suffix == ".pkl":
            print(np.__version__, path.name, len(unpickled(path)))
        elif path.suffix == ".npz":
            print(np.__version__, path.name, {k: len(v) for k, v in load_labels(path).items()})
        elif path.suffix == ".npy":
            assert np.load(path).dtype == np.float32


if __name__ == "__main__":
    main()
