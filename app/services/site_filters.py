"""Which sites are shown: one answer, that every view on the page gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.services.evaluation import Evaluation
from app.services.polygon import Area, inside
from app.services.site_table import ASPECT, CLIMATE, KINDS, LAND_COVER
from gsm3core import vocabulary as v

Mask = NDArray[np.bool_]
Range = tuple[float, float]

_PLURAL = {v.REGION: "regions", v.NETWORK: "networks", LAND_COVER: "land covers", CLIMATE: "climates"}
_NAMED = 2  # as many names as this are spelled out


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a visitor asks of the sites; empty asks nothing.

    Parameters
    ----------
    region, network, land_cover, climate
        Names, any of which a site may have.
    moisture, moisture_of
        Lowest and highest mean soil moisture (m3 m-3), and of which record.
    aspect
        Lowest and highest poleward aspect, -1 to 1.
    area
        Corners of a polygon on the map: what was drawn around the sites.
    """

    region: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    land_cover: tuple[str, ...] = ()
    climate: tuple[str, ...] = ()
    moisture: Range | None = None
    moisture_of: str = v.SMAP
    aspect: Range | None = None
    area: Area = ()


@dataclass(frozen=True, eq=False)
class Shown:
    """The sites that the filters leave.

    Parameters
    ----------
    mask
        Over the sites of an evaluation.
    words
        What they have in common, as a heading says it.
    on_map
        The same before an area is drawn: the map keeps the sites around it, to draw another.
    """

    mask: Mask
    words: str
    on_map: Mask

    def same(self, other: Shown | None) -> bool:
        """Tell whether another answer shows the same sites in the same words."""
        return (
            other is not None
            and self.words == other.words
            and np.array_equal(self.mask, other.mask)
            and np.array_equal(self.on_map, other.on_map)
        )


def shown_sites(evaluation: Evaluation, filters: Filters) -> Shown:
    """Return the sites of an evaluation that the filters leave.

    Parameters
    ----------
    evaluation
        What was loaded.
    filters
        All of them hold at once. One that the dataset cannot answer (no such attribute) leaves no site.
    """
    on_map = np.ones(len(evaluation.sites), bool)
    for part in _parts(evaluation, filters).values():
        on_map &= part
    mask = on_map & inside(filters.area, evaluation.sites) if filters.area else on_map
    return Shown(mask, _words(filters), on_map)


def counts(evaluation: Evaluation, filters: Filters, kind: str) -> dict[str, int]:
    """Return how many sites each choice of a kind would leave, with all other filters as they are.

    Parameters
    ----------
    evaluation, filters
        As for :func:`shown_sites`.
    kind
        One of :data:`app.services.site_table.KINDS`.
    """
    left = np.ones(len(evaluation.sites), bool)
    for name, part in _parts(evaluation, filters).items():
        if name != kind:
            left &= part
    found = evaluation.sites[kind][left].value_counts()
    return {name: int(found.get(name, 0)) for name in evaluation.names(kind)}


def _parts(evaluation: Evaluation, filters: Filters) -> dict[str, Mask]:
    sites = evaluation.sites
    parts = {k: sites[k].isin(wanted).to_numpy() for k in KINDS if (wanted := getattr(filters, k))}
    if filters.moisture:
        of = evaluation.moisture.get(filters.moisture_of)
        parts["moisture"] = (
            np.zeros(len(sites), bool) if of is None else _within(of.to_numpy(), filters.moisture)
        )
    if filters.aspect:
        parts[ASPECT] = _within(sites[ASPECT].to_numpy(), filters.aspect)
    return parts


def _within(values: NDArray[np.float64], limits: Range) -> Mask:
    """A value that is not known is in no range."""
    return (values >= limits[0]) & (values <= limits[1])


def _words(filters: Filters) -> str:
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
    if filters.area:
        words.append("the area drawn on the map")
    return ", ".join(words) or "all sites"


def _record(name: str) -> str:
    return "in situ" if name == v.IN_SITU else name
