"""How to cite what a report rests on: the method, the dataset, its products and networks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.catalog import dataset_entries, source_entries
from gsm3core.report.published import PAPER, PAPER_DOI
from gsm3core.schema import is_simulated

_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>]+[^\s\"<>.,;)]")
_MOST_NETWORKS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One thing to cite.

    Parameters
    ----------
    what
        What it is cited for.
    text
        The reference.
    doi
        Without a resolver's address; empty where there is none.
    terms
        Its licence, where known.
    """

    what: str
    text: str
    doi: str = ""
    terms: str = ""


def citations(dataset: xr.Dataset | None, commit: str, version: str) -> list[Citation]:
    """Return what a report made from a dataset should cite.

    Parameters
    ----------
    dataset
        ``None`` where it is gone: then only the method and the software are known.
    commit, version
        Of the software that made the run.
    """
    found = [
        Citation(what="Method", text=PAPER, doi=PAPER_DOI),
        Citation(
            what="Software",
            text=f"GSM3 {version}" + (f", commit {commit}" if commit else ""),
            terms="BSD-3-Clause",
        ),
    ]
    if dataset is None:
        return found
    if is_simulated(dataset):
        text = str(dataset.attrs.get("source", "simulated"))
        return [*found, Citation(what="Data", text=text, terms=str(dataset.attrs.get("license", "")))]
    found += _dataset(dataset)
    if networks := _networks(dataset):
        found.append(Citation(what="Networks, each cited as its provider asks", text=networks))
    return found


def _dataset(dataset: xr.Dataset) -> list[Citation]:
    """Return the catalogue's sources that the dataset's history names, its own reference, and what its variables say."""
    entries = dataset_entries() | source_entries()
    found = {}
    for name in dict.fromkeys(_names(_history(dataset))):
        if name in entries:
            e = entries[name]
            found[e.citation] = Citation(what=e.title, text=e.citation, doi=e.doi, terms=e.license)
    own = str(dataset.attrs.get("references", ""))
    if own and not any(text in own for text in found):
        doi = _DOI.search(own)
        found[own] = Citation(
            what=str(dataset.attrs.get("title", "Dataset")),
            text=_DOI.sub("", own).removesuffix("doi:").strip(),
            doi=doi[0] if doi else "",
            terms=str(dataset.attrs.get("license", "")),
        )
    # A product is named by its record alone: SMAP at 36 km is not the catalogue's SMAP at 9 km.
    said: dict[str, list[str]] = {}
    for variable in dataset.data_vars.values():
        if variable.attrs.get("source"):
            said.setdefault(str(variable.attrs["source"]), []).append(str(variable.name))
    text = "; ".join(f"{source} ({', '.join(sorted(of))})" for source, of in sorted(said.items()))
    sources = [Citation(what="Variables, as the dataset names their sources", text=text)] if said else []
    return [*found.values(), *sources]


def _names(step: object) -> Iterator[str]:
    """Yield every text in a history, wherever a step keeps it."""
    if isinstance(step, str):
        yield step
    elif isinstance(step, (list, dict)):
        for part in step.values() if isinstance(step, dict) else step:
            yield from _names(part)


def _networks(dataset: xr.Dataset) -> str:
    if v.NETWORK not in dataset.coords:
        return ""
    names = sorted({str(n) for n in np.asarray(dataset[v.NETWORK].values).tolist()} - {""})
    more = f" and {len(names) - _MOST_NETWORKS} more" if len(names) > _MOST_NETWORKS else ""
    return ", ".join(names[:_MOST_NETWORKS]) + more


def _history(dataset: xr.Dataset) -> object:
    try:
        return json.loads(str(dataset.attrs.get("history", "[]")))
    except json.JSONDecodeError:
        return []  # a history in prose, from another program: there is no step to look up
