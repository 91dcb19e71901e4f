"""Write a demo corpus as it would lie on a researcher's disk, in the layout of MELD or IEMOCAP."""

from pathlib import Path

from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing_folder
from pipeline.demo.iemocap import write_iemocap_tree
from pipeline.demo.meld import write_meld_tree
from pipeline.demo.settings import DemoSettings

WRITERS = {"meld": write_meld_tree, "iemocap": write_iemocap_tree}


def write_tree(settings: DemoSettings, folder: Path) -> None:
    """Write a demo corpus, whole or not at all, to a folder that is empty or not there."""
    if folder.exists() and any(folder.iterdir()):
        raise PipelineError(
            f"{folder} exists and is not empty. A demo corpus is written as a whole: remove the "
            "folder or name another one."
        )
    with replacing_folder(folder) as part:
        WRITERS[settings.layout](settings, part)
