"""`results`: each run's figures beside the settings that differ from the commit's."""

import io
from typing import Any

from rich.console import Console

from pipeline.experiments.overview import runs, table

EPOCHS = "data/epochs/toy/mcn_cl.parquet"


def state(
    rev: str, name: str | None, f1: float | None, settings: dict[str, Any], read: str = "e"
) -> dict[str, Any]:
    """A revision as `dvc exp show --json` has it."""
    split = {"weighted_f1": f1, "weighted_f1_std": 1.26}
    metrics = {} if f1 is None else {"data": {"test": split, "validation": {"weighted_f1": 50.0}}}
    block = {"mcn_cl": {"seeds": [1]}, "text": {"pooling": "cls"}} | settings
    other = {"train": {"epochs": len(name or "")}}
    return {
        "rev": rev,
        "name": name,
        "error": None,
        "data": {
            "params": {"params.yaml": {"data": {"corpora": ["toy"], "toy": block, "other": other}}},
            "metrics": {"metrics/toy/mcn_cl/metrics.json": metrics},
            "deps": {EPOCHS: {"hash": read}},
            "outs": {EPOCHS: {"hash": "e"}},
        },
    }


CHANGED = {
    "mcn_cl": {"seeds": [1, 2]},
    "text": {"pooling": "mean"},
    "tfidf": {"regularisation": [1]},
}
COMMIT = state("a" * 40, "main", 61.04, {})
RUNS = [
    {"revs": [state("b" * 40, "other", 60.0, CHANGED)], "executor": {"state": "success"}},
    {"revs": [state("c" * 40, None, None, {})], "executor": {"state": "queued"}},
    {"revs": [state("d" * 40, "point", 61.04, {}, read="older")], "executor": None},
    {"revs": [{"rev": "f" * 40, "name": "gone", "error": {"msg": "x"}, "data": None}]},
]
STATES = [state("workspace", None, 62.0, CHANGED), COMMIT | {"experiments": RUNS}]


def printed(corpus: str, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(table(corpus, "mcn_cl", STATES))
    return file.getvalue()


def test_runs_come_in_dvcs_order_with_what_they_changed() -> None:
    lines = [" ".join(line.split()) for line in printed("toy").splitlines()]
    assert lines[0].startswith("MCN-CL on toy: weighted F1 in percent (± over seeds)")
    assert "workspace 50.0 62.0 ± 1.3 mcn_cl.seeds=[1, 2]" in lines
    assert "HEAD (main) 50.0 61.0 ± 1.3" in lines
    assert "other 50.0 60.0 ± 1.3 mcn_cl.seeds=[1, 2]" in lines
    assert lines.count("text.pooling=mean") == 2, "a setting a line, none of another corpus"
    assert "tfidf" not in printed("toy"), "and none of another system"


def test_what_has_no_result_says_why() -> None:
    lines = [" ".join(line.split()) for line in printed("toy").splitlines()]
    assert "ccccccc queued queued" in lines and "gone error error" in lines
    assert "point - -" in lines, "its figures are of an earlier training"
    assert [row.name for row in runs("toy", "mcn_cl", STATES)][:2] == [
        "workspace",
        "HEAD (main)",
    ]


def test_another_corpus_has_its_own_settings_and_no_figures() -> None:
    lines = [" ".join(line.split()) for line in printed("other").splitlines()]
    assert "other - - train.epochs=5" in lines and "text.pooling" not in printed("other")


def test_eighty_columns_suffice() -> None:
    assert max(map(len, printed("toy").splitlines())) <= 80
