"""A newcomer's corpus is one module, one line of the registry and one block of params.yaml."""

import csv
import re
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from pipeline.base import paths
from pipeline.base.errors import PipelineError
from pipeline.base.params import read_params
from pipeline.corpora.labels import plain
from pipeline.corpora.published import Published, PublishedSplits, groups
from pipeline.corpora.reader import RawCorpus, Reader, ReaderOptions
from pipeline.corpora.registry import READERS, CorpusSettings
from pipeline.corpora.settings import ProtocolSettings
from pipeline.records.manifest import Utterance, read_manifest
from pipeline.records.protocol import counts, read_protocol
from stages import manifest, protocol
from tests.conftest import PARAMS, ROOT

# What pipeline/corpora/letters.py would hold.


class LettersOptions(ReaderOptions):
    reader: Literal["letters"]
    encoding: str = "utf-8"


def read(root: Path, options: LettersOptions) -> RawCorpus:
    with (root / "letters.csv").open(encoding=options.encoding, newline="") as file:
        rows = list(csv.DictReader(file))
    return RawCorpus(
        [
            Utterance(
                utterance=f"{row['split']}_{number}",
                dialogue=f"{row['split']}_{number}",
                turn=0,
                speaker=row["from"],
                text=row["text"],
                video=None,
                audio=None,
                emotion=row["mood"],
                official_split=row["split"],
            )
            for number, row in enumerate(rows)
        ]
    )


READER = Reader(
    title="Letters",
    options=LettersOptions,
    read=read,
    label_sets={"emotion": plain("emotion", "glad", "cross")},
    published=Published(
        "official_split",
        groups("""
                  utterances glad
            train          2    1
            all            4    -
        """),
    ),
    published_splits=(
        PublishedSplits("emotion", "consensus", "official", groups("    cross\n test 7")),
    ),
)

BLOCK = """
letters:
  corpus: {reader: letters, full: true}
  protocol: {<<: *protocol}
  extract: {<<: *extract, modalities: [text]}
  frames: {<<: *frames}
  faces: {<<: *faces}
  visual: {<<: *visual}
  audio: {<<: *audio}
  text: {<<: *text}
  finetune: {<<: *finetune}
  logistic_regression: {<<: *linear, modalities: [text]}
  mcn_cl: {<<: [*text_train, *mcn_cl]}
"""


@pytest.fixture
def newcomer(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the corpus' block and its raw tree."""
    monkeypatch.setitem(READERS, "letters", READER)
    text = PARAMS.read_text(encoding="utf-8") + BLOCK
    text = text.replace("corpora: [demo_meld, demo_iemocap]", "corpora: [letters]", 1)
    text = re.sub(r"^systems: .*$", "systems: [logistic_regression, mcn_cl]", text, flags=re.M)
    (workspace / "params.yaml").write_text(text, encoding="utf-8")
    root = workspace / "data/raw/letters"
    root.mkdir(parents=True)
    rows = ["train,Ann,glad,Hi", "train,Bob,cross,No", "dev,Ann,cross,Ah", "test,Bob,glad,Oh"]
    (root / "letters.csv").write_text("\n".join(["split,from,mood,text", *rows]))
    return workspace


def test_it_runs_with_its_own_labels_and_published_counts(
    newcomer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = read_params()
    manifest.work(params, "letters")
    protocol.work(params, "letters")
    assert [u.text for u in read_manifest(paths.manifest("letters"))] == ["Hi", "No", "Ah", "Oh"]
    found = read_protocol(paths.protocol("letters"))
    assert found.classes == ("glad", "cross"), "its own set, of a name that MELD has too"
    assert counts(found)["train"] == {"glad": 1, "cross": 1}
    printed = capsys.readouterr().out
    assert "counts: as published" in printed
    assert "not as published: test: 0 cross (published 7)" in printed


def test_the_blocks_that_the_documentation_copies_are_valid(workspace: Path) -> None:
    (workspace / "params.yaml").write_text(PARAMS.read_text("utf-8"), "utf-8")
    text = (ROOT / "docs/corpora.md").read_text("utf-8")
    (recipe,) = re.findall(r"```sh\n(block\(\) .*?)```", text, re.S)
    subprocess.run(["bash", "-euc", recipe], check=True)
    copied = re.findall(r"^block \w+ (\w+) ", recipe, re.M)
    path = workspace / "params.yaml"
    text = path.read_text("utf-8").replace("corpora: [mine]", f"corpora: [{', '.join(copied)}]")
    path.write_text(text, "utf-8")
    params = read_params()
    readers = [params.of(CorpusSettings, name).root.reader for name in copied]
    assert readers == ["emorynlp", "meld_dyadic", "ravdess", "emodb", "clips"]
    assert params.of(ProtocolSettings, "emodb").splits == "leave_one_speaker_out"
    assert params.system("emodb", "mcn_cl").modalities == ("audio",)


def test_another_corpus_label_set_is_told_with_its_own(newcomer: Path) -> None:
    path = newcomer / "params.yaml"
    own = "{reader: letters, full: true}\n  protocol: {<<: *protocol"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(own, f"{own}, label_set: sentiment"), encoding="utf-8")
    with pytest.raises(PipelineError) as error:
        read_params()
    expected = "letters.protocol.label_set: got 'sentiment', expected one of ['emotion'], those of"
    assert expected in str(error.value)
