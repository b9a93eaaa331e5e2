"""Citations of a report: method, software, dataset, products and networks."""

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
    """One reference to cite.

    Parameters
    ----------
    what
        Subject of the citation.
    text
        The reference.
    doi
        Without the resolver's address; empty if there is none.
    terms
        Licence, if known.
    """

    what: str
    text: str
    doi: str = ""
    terms: str = ""


def citations(dataset: xr.Dataset | None, commit: str, version: str) -> list[Citation]:
    """Return the citations of a report.

    Parameters
    ----------
    dataset
        ``None`` if it is missing: then only method and software are cited.
    commit, version
        Of the software that produced the run.
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
        found.append(Citation(what="Networks (cite each as its provider requires)", text=networks))
    return found


def _dataset(dataset: xr.Dataset) -> list[Citation]:
    """Return the catalogue entries named in the dataset's history, its own reference, and its variables' sources."""
    entries = dataset_entries() | source_entries()
    found = {}
    for name in dict.fromkeys(_strings(_history(dataset))):
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
    # A product's name does not identify a catalogue entry: SMAP at 36 km is not the catalogue's SMAP at 9 km.
    by_source: dict[str, list[str]] = {}
    for variable in dataset.data_vars.values():
        if variable.attrs.get("source"):
            by_source.setdefault(str(variable.attrs["source"]), []).append(str(variable.name))
    text = "; ".join(f"{source} ({', '.join(sorted(names))})" for source, names in sorted(by_source.items()))
    sources = (
        [Citation(what="Sources of the variables, as recorded in the dataset", text=text)]
        if by_source
        else []
    )
    return [*found.values(), *sources]


def _strings(step: object) -> Iterator[str]:
    """Yield every string in a history, at any depth."""
    if isinstance(step, str):
        yield step
    elif isinstance(step, (list, dict)):
        for part in step.values() if isinstance(step, dict) else step:
            yield from _strings(part)


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
        return []  # a free-text history, from another program
