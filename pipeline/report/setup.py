"""The report's setup: corpus, protocol in words, features, all settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.corpora.reader import Reader
from pipeline.corpora.settings import ProtocolSettings
from pipeline.report.blocks import Points, Row, Section, Table
from pipeline.report.counts import corpus
from pipeline.report.read import Results
from pipeline.report.words import NONE, listed, many, sentence, value

SPLITTING = {
    "official": "the splits are the official ones of the corpus",
    "session5": "test is session 5",
    "leave_one_session_out": "each session is the test split of one fold",
    "speakers": "no speaker is in two splits",
}
DIGITS = 12  # shown of a digest


def section(results: Results) -> Section:
    """Corpus, protocol, features and settings."""
    return Section(
        "setup",
        "Setup",
        (
            *corpus(results),
            Points(tuple(map(sentence, _protocol(results, results.settings.protocol)))),
            _features(results),
            _settings(results),
        ),
    )


def _protocol(results: Results, settings: ProtocolSettings) -> Iterator[str]:
    train = results.settings.train
    name = settings.label_set if isinstance(settings.label_set, str) else "custom"
    yield (
        f"label set `{name}` ({', '.join(results.protocol.classes)}); "
        f"the label is {results.reader.label_policies[settings.label_policy].description}."
    )
    use = "dropped" if settings.unlabelled == "drop" else "kept as context without loss or score"
    yield f"utterances without a label in the set are {use}."
    yield f"{SPLITTING[settings.splits]}{_validation(settings, results.reader)}."
    yield (
        f"seeds {listed(train.seeds)}, one model per seed and fold; each trains for up to "
        f"{many(train.epochs, 'epoch')}, stops after {many(train.patience, 'epoch')} without a "
        "better weighted F1 on validation, and keeps the first epoch with the best one. The test "
        "split is not used."
    )


def _validation(settings: ProtocolSettings, reader: Reader) -> str:
    if settings.splits == "speakers":
        shares = (settings.valid_fraction or 0, settings.test_fraction or 0)
        valid, test = (f"{100 * share:g} %" for share in shares)
        return (
            f"; {valid} of the speakers are for validation, {test} for test, drawn with seed "
            f"{settings.seed}"
        )
    if settings.validation is None:
        return ""
    if settings.validation in reader.validation:
        count = len(reader.validation[settings.validation])
        return f"; validation is the {count} dialogues of `{settings.validation}`"
    fraction = f"{100 * (settings.valid_fraction or 0):g} %"
    return {
        "last_20": "; validation is the last 20 dialogues outside the test split",
        "fraction": f"; validation is {fraction} of each session's dialogues, drawn with seed "
        f"{settings.seed}",
    }[settings.validation]


def _features(results: Results) -> Table:
    """A table of facts with a column for each modality in use."""
    stores = results.run["features"]
    facts = {name: _facts(results, name) for name in stores}
    rows = [
        Row((fact, *(facts[name][fact] or NONE for name in stores)))
        for fact in next(iter(facts.values()))
        if any(facts[name][fact] for name in stores)
    ]
    return Table("Features", ("", *stores), tuple(rows), "l" * (1 + len(stores)))


def _facts(results: Results, modality: str) -> dict[str, str | None]:
    store: dict[str, Any] = results.run["features"][modality]
    encoder, frames = store.get("encoder", {}), store.get("frames", {})
    return {
        "extractor": store.get("extractor"),
        **_encoder(encoder),
        "dimension": f"{store['dimension']:,}" if "dimension" in store else None,
        "settings": _lines(store["settings"]),
        "computed on": _lines(store.get("compute", {})),
        "versions": _lines(store.get("versions", {})),
        "frames": _lines(frames.get("settings", {})),
        "faces": _lines(frames.get("faces", {})),
        **{f"faces, {name}": fact for name, fact in _encoder(frames.get("encoder", {})).items()},
        "masked utterances": f"{results.run['masked'][modality]:,}",
    }


def _encoder(encoder: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "encoder": encoder.get("name"),
        "architecture": encoder.get("architecture"),
        "revision": encoder.get("revision"),
        "SHA-256": encoder.get("sha256", "")[:DIGITS],
        "licence": encoder.get("licence"),
    }


def _lines(settings: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value(setting)}" for name, setting in settings.items())


def _settings(results: Results) -> Table:
    rows = tuple(
        Row((f"{section}.{name}", value(setting)))
        for section, settings in results.settings.sections().items()
        for name, setting in settings.model_dump().items()
        if setting is not None
    )
    return Table(
        "All settings of protocol, model, loss, training and evaluation",
        ("setting", "value"),
        rows,
        "ll",
        ("Named as in params.yaml; the settings.py of each package describes them.",),
        folded=True,
    )
