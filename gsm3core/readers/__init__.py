"""From the files of one source to canonical names and units; one file per source."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from gsm3core.errors import DatasetError, did_you_mean

if TYPE_CHECKING:
    from gsm3core.readers.base import Reader

_REGISTRY = {
    "conus_smap": "gsm3core.readers.conus_smap:ConusSmapReader",
    "uscrn": "gsm3core.readers.uscrn:UscrnReader",
}


def make_reader(name: str) -> Reader:
    """Return the reader of a source.

    Raises
    ------
    DatasetError
        If the name is not known.
    """
    if name not in _REGISTRY:
        raise DatasetError(f"reader {name!r} is not known. {did_you_mean(name, _REGISTRY)}")
    module, _, cls = _REGISTRY[name].partition(":")
    reader: Reader = getattr(import_module(module), cls)()
    return reader
