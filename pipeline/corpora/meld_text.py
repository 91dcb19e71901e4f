"""`python -m pipeline meld-text DIR`: MELD's annotations as a corpus without clips."""

from pathlib import Path

from pipeline.base import paths
from pipeline.base.display import say
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing, sha256_file
from pipeline.corpora.meld import FOLDERS

CORPUS = "meld_text"
PUBLISHED = {
    "train_sent_emo.csv": "d2fa2d6529cf03cac2989efec05c9b27d8fd2f4c8fc5974c7ae88aa537fa02db",
    "dev_sent_emo.csv": "2e89c6f8aa182d6f62f8c6331aece905ac7273ca4999660bfb5213e1d0370c1c",
    "test_sent_emo.csv": "8d37103938f7067600839fe29d5a114a6cd1bcdafb75bec101e06464c5006888",
}


def lay_out(folder: Path) -> None:
    """Copy the CSVs to `data/raw/meld_text`, and say whether they are the published bytes."""
    lacking = [name for name in PUBLISHED if not (folder / name).is_file()]
    if lacking:
        raise PipelineError(
            f"{folder} lacks {lacking}. They are in the folder data/MELD of the repository "
            "declare-lab/MELD; download them and name the folder they lie in."
        )
    for name, published in PUBLISHED.items():
        with replacing(paths.raw(CORPUS) / name) as part:
            part.write_bytes((folder / name).read_bytes())
        if sha256_file(folder / name) != published:
            say(f"{name}: not the bytes this was tried with; results may differ")
    say(f"{paths.raw(CORPUS)}: {len(PUBLISHED)} CSVs, no clips ({', '.join(FOLDERS)})")
