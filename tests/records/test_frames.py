"""The frame store: it reads back, and has the same bytes however its pictures came."""

from pathlib import Path

from pipeline.base.cache import ClipCache
from pipeline.records.frames import (
    PICTURES,
    Pictures,
    pictures_in,
    present_rows,
    read_frames,
    write_frames,
)


def rows(missing: int) -> list[tuple[str, Pictures | None]]:
    """Rows of which every third lacks pictures."""
    return [
        (f"u{n}", None if n % 3 == missing else Pictures([n], [[0, 0, n, 8]], "one", [bytes(n)]))
        for n in range(40)
    ]


def test_stores_read_back_and_are_stable(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_frames(tmp_path / name, iter(rows(0)), {"extractor": "frames"})
    assert list(read_frames(tmp_path / "a")) == rows(0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert present_rows(tmp_path / "a") == [n for n in range(40) if n % 3]
    some = [rows(0)[n] for n in (1, 3, 39)]
    assert list(read_frames(tmp_path / "a", {1, 3, 39})) == some


def test_entries_of_the_cache_are_written_as_the_pictures_in_them(tmp_path: Path) -> None:
    cache = ClipCache("frames", 1, PICTURES, tmp_path / "cache")
    plain = rows(1)
    entries = [(name, kept and cache.put(name, vars(kept))) for name, kept in plain]
    write_frames(tmp_path / "plain", plain, {})
    write_frames(tmp_path / "entries", entries, {})
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "entries").read_bytes()
    assert [kept and pictures_in(kept) for _, kept in entries] == [kept for _, kept in plain]
