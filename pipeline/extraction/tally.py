"""What a feature step counts while its rows pass by, and what it says at the end."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pipeline.errors import PipelineError
from pipeline.ledger import Problem, summary, write_ledger
from pipeline.settings.base import Modality

V = TypeVar("V")


class Tally:
    """Counts utterances with and without a modality, and gathers the step's problems.

    Args:
        modality: Which.
    """

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.problems: list[Problem] = []
        self.present = self.missing = 0

    def counted(
        self, found: Iterable[tuple[str, V | None, list[Problem]]]
    ) -> Iterator[tuple[str, V | None]]:
        """Passes rows on without their problems."""
        for utterance, value, problems in found:
            self.problems += problems
            self.present += value is not None
            self.missing += value is None
            yield utterance, value

    def close(self, ledger: Path) -> None:
        """Writes the ledger and prints the step's summary."""
        write_ledger(ledger, self.problems)
        print(f"{self.modality}: {self.present} utterances, {self.missing} masked")
        print("".join(f"{line}\n" for line in summary(self.problems)), end="")

    def check(self, corpus: str) -> None:
        """Refuses a modality that a corpus has nowhere.

        Args:
            corpus: Whose utterances were counted.

        Raises:
            PipelineError: No utterance at all has the modality.
        """
        if not self.present:
            raise PipelineError(
                f"none of {self.missing} utterances has {self.modality}: see the manifest's "
                f"problems with `python -m pipeline doctor {corpus}`, put the clips where it "
                f"looks for them, or take {self.modality} out of extract.{corpus}.modalities."
            )
