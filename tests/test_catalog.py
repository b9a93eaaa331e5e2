"""The catalogue: typed entries, typos refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsm3core import catalog
from gsm3core.errors import DatasetError
from gsm3core.readers import make_reader


def test_every_entry_has_a_reader_and_terms() -> None:
    entries = catalog.dataset_entries()
    assert set(entries) >= {"conus-smap", "uscrn"}
    for entry in entries.values():
        assert hasattr(make_reader(entry.reader), "open")
        assert entry.license
        assert entry.doi.startswith("10.")


def test_a_typo_in_an_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("name: x\ntitel: y\n")
    with pytest.raises(DatasetError, match=r"(?s)x\.yaml is not a valid catalogue entry.*titel"):
        catalog._load(path)
