"""A MELD tree's annotations without its clips, for tests of the reader."""

from pathlib import Path

from pipeline.corpora.meld import FOLDERS
from pipeline.corpora.meld_csv import MELD

HEADER = ",".join(MELD.columns)
LINE = '1,"{text}",Ross,joy,positive,{dialogue},{utterance},1,1,"00:00:01,5","00:00:02,250"'


def csv_bytes(*lines: str, newline: str = "\r\n") -> bytes:
    """A CSV with MELD's header."""
    return newline.join([HEADER, *lines, ""]).encode()


def tree(root: Path, *lines: str, newline: str = "\r\n") -> Path:
    """A MELD tree whose three CSVs hold the same lines and whose folders are empty."""
    for split, names in FOLDERS.items():
        (root / names[0]).mkdir(parents=True)
        (root / f"{split}_sent_emo.csv").write_bytes(csv_bytes(*lines, newline=newline))
    return root
