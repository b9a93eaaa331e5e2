"""The sites that pass the filters of the page, and their description."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.services.evaluation import Evaluation
from app.services.site_table import CLIMATE, KINDS, LAND_COVER
from gsm3core import vocabulary as v
from gsm3core.evaluation.site_selection import SiteFilter

Mask = NDArray[np.bool_]

_PLURAL = {v.REGION: "regions", v.NETWORK: "networks", LAND_COVER: "land covers", CLIMATE: "climates"}
_NAMED = 2  # as many names as this are spelled out


@dataclass(frozen=True, eq=False)
class Shown:
    """The sites that pass the filters.

    Parameters
    ----------
    mask
        Over the sites of an evaluation.
    words
        Description of the sites for headings.
    on_map
        Mask without the drawn polygon: the map keeps the sites around it.
    """

    mask: Mask
    words: str
    on_map: Mask

    def same(self, other: Shown | None) -> bool:
        """Return whether another result has the same sites and description."""
        return (
            other is not None
            and self.words == other.words
            and np.array_equal(self.mask, other.mask)
            and np.array_equal(self.on_map, other.on_map)
        )


def shown_sites(evaluation: Evaluation, filters: SiteFilter) -> Shown:
    """Return the sites of an evaluation that pass the filters.

    Parameters
    ----------
    evaluation
        Loaded scores.
    filters
        All criteria must be met; one that the dataset has no attribute for is met by no site.
    """
    on_map = np.ones(len(evaluation.sites), bool)
    parts = filters.masks(evaluation.sites, evaluation.moisture)
    inside = parts.pop("polygon", on_map)
    for part in parts.values():
        on_map = on_map & part
    mask = on_map & inside
    return Shown(mask, _words(filters), on_map)


def counts(evaluation: Evaluation, filters: SiteFilter, kind: str) -> dict[str, int]:
    """Return the number of sites of each name of a category that pass all other filters.

    Parameters
    ----------
    evaluation, filters
        As for :func:`shown_sites`.
    kind
        One of :data:`app.services.site_table.KINDS`.
    """
    left = np.ones(len(evaluation.sites), bool)
    for name, part in filters.masks(evaluation.sites, evaluation.moisture).items():
        if name != kind:
            left &= part
    found = evaluation.sites[kind][left].value_counts()
    return {name: int(found.get(name, 0)) for name in evaluation.names(kind)}


def _words(filters: SiteFilter) -> str:
    words = []
    for kind in KINDS:
        names = [n.replace("_", " ") for n in getattr(filters, kind)]
        if names:
            words.append(" and ".join(names) if len(names) <= _NAMED else f"{len(names)} {_PLURAL[kind]}")
    if filters.moisture:
        low, high = filters.moisture
        words.append(f"mean {_record(filters.moisture_of)} {low:g} to {high:g} m³ m⁻³")
    if filters.aspect:
        words.append("poleward aspect {:g} to {:g}".format(*filters.aspect).replace("-", "−"))
    if filters.depth:
        words.append("sensor depth {:g} to {:g} m".format(*filters.depth))
    if filters.polygon:
        words.append("the area drawn on the map")
    if filters.without_suspect:
        words.append("without suspect in-situ records")
    return ", ".join(words) or "all sites"


def _record(name: str) -> str:
    return "in situ" if name == v.IN_SITU else name
