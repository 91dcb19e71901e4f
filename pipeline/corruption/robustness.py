"""`python -m pipeline robustness CORPUS`: trained models on test utterances made worse in steps."""

from pipeline.base.display import say
from pipeline.base.params import read_params
from pipeline.base.paths import places
from pipeline.corruption import report
from pipeline.corruption.curves import measure
from pipeline.corruption.extracting import extractors
from pipeline.corruption.trained import read_trained


def carry_out(corpus: str, quick: bool) -> None:
    """Measures, prints the table and writes it to docs/robustness.

    Args:
        corpus: Whose checkpoints.
        quick: One seed and fewer steps, to docs/robustness/quick.

    Raises:
        PipelineError: There is no checkpoint, or something is not as it was trained with.
    """
    params = read_params()
    trained = read_trained(params, corpus, quick)
    ours = extractors(params, corpus, places(corpus), trained.stores)
    measured = measure(trained, ours, quick)
    report.show(measured)
    say("written:", *report.write(measured, quick))
