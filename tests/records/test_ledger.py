"""The ledger: what is told of what is not extracted, and names that hold anything."""

from pipeline.records.ledger import Problem, counted, of_extracted, page, summary

ABSENT = [
    Problem(f"u{n}", modality, "absent", "there is no such file")  # type: ignore[arg-type]
    for n in range(10039)
    for modality in ("audio", "visual")
]


def test_a_modality_that_is_not_extracted_has_one_line() -> None:
    cut = Problem("u0", "audio", "cut", "lasts 70.00 s")
    text = of_extracted([*ABSENT, cut], ["text"], ["audio", "visual"])
    assert counted(text) == {"audio not_extracted": 1, "visual not_extracted": 1}
    assert summary(text) == [
        "  audio not_extracted: 1, such as all utterances (not in extract.modalities; its files: "
        "absent 10039, cut 1)",
        "  visual not_extracted: 1, such as all utterances (not in extract.modalities; its files: "
        "absent 10039)",
    ]
    both = of_extracted([*ABSENT, cut], ["text", "audio"], ["visual"])
    assert counted(both) == {"audio absent": 10039, "audio cut": 1, "visual not_extracted": 1}
    assert of_extracted([cut], ["text", "audio", "visual"], []) == [cut]
    (pictures,) = of_extracted([], ["text", "audio"], ["visual"])
    assert pictures.detail == "not in extract.modalities; its files: nothing wrong"
    assert of_extracted([], ["text"], []) == [], (
        "nothing is left out that never was, or is imported"
    )


def test_a_name_adds_no_row_and_no_column() -> None:
    hostile = Problem("u\r\n| x", "audio", "absent", "a|b\x1b[2J<script>\n# head")
    lines = page("toy", {"manifest": [hostile]}).splitlines()
    assert len(lines) == 7
    assert lines[-1] == (
        r"| manifest | audio | absent | 1 | u\r \| x: a\|b\x1b[2J&lt;script&gt; # head |"
    )
    (line,) = summary([hostile])
    assert line == "  audio absent: 1, such as u  | x (a|b [2J<script> # head)"
