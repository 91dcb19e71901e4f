"""A demo corpus as it lies on a researcher's disk, in the layout of MELD or of IEMOCAP."""

from pathlib import Path

from pipeline.demo.folder import new_folder
from pipeline.demo.iemocap_tree import write_iemocap_tree
from pipeline.demo.meld_tree import write_meld_tree
from pipeline.demo.settings import DemoSettings

WRITERS = {"meld": write_meld_tree, "iemocap": write_iemocap_tree}


def write_tree(settings: DemoSettings, folder: Path) -> None:
    """Writes the demo corpus; the tree gets its name only when it is whole.

    The same settings give the same bytes.

    Args:
        settings: Layout, size, seed and noise of the corpus.
        folder: The root to write; it must not exist or be empty.
    """
    with new_folder(folder) as part:
        WRITERS[settings.layout](settings, part)
