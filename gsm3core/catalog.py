"""Typed entries of the data catalogue: one YAML file per source, unknown keys refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.resources import catalog_folder


class DatasetEntry(BaseModel):
    """A data set that ``gsm3 data build`` can make.

    The citation and terms travel into the dataset that is built.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    provider: str
    license: str
    citation: str
    doi: str = ""
    reader: str = Field(description="name in gsm3core.readers")
    layout: str = Field(description="what the source file must hold")
    how_to_get: str
    notes: str = ""


@cache
def dataset_entries() -> dict[str, DatasetEntry]:
    """Return all entries of ``data_catalog/datasets`` by name.

    Raises
    ------
    DatasetError
        If an entry is not valid; the file and the key are named.
    """
    entries = {}
    for path in sorted((catalog_folder() / "datasets").glob("*.yaml")):
        entry = _load(path)
        entries[entry.name] = entry
    return entries


def dataset_entry(name: str) -> DatasetEntry:
    """Return one entry.

    Raises
    ------
    DatasetError
        If the name is not in the catalogue; the nearest one is suggested.
    """
    entries = dataset_entries()
    if name not in entries:
        raise DatasetError(f"dataset {name!r} is not in the catalogue. {did_you_mean(name, entries)}")
    return entries[name]


def _load(path: Path) -> DatasetEntry:
    try:
        return DatasetEntry.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise DatasetError(f"{path} is not a valid catalogue entry: {error}") from error
