"""Inventory of the datasets, with contents and provenance, and of the catalogue's sources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from app.services.cache import ResultCache
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.catalog import KINDS, sources_of
from gsm3core.errors import GSM3Error
from gsm3core.readers.availability import Availability, check_availability, describe_source
from gsm3core.schema import (
    attribute_names,
    forcing_names,
    is_simulated,
    mean_record_names,
    products,
    target_names,
)

_SUMMARIES: ResultCache[DatasetSummary] = ResultCache(64)


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """Contents of one dataset.

    Parameters
    ----------
    problem
        Why it cannot be read; the other fields are then empty.
    title, license, simulated
        From the dataset's attributes.
    sites, networks, regions
        Counts.
    records
        Soil moisture records, in situ first.
    variables
        One row per variable: name, long name, kind, units, source, licence.
    history
        Processing steps, oldest first.
    bytes
        Size on disk.
    """

    name: str
    path: Path
    problem: str = ""
    title: str = ""
    license: str = ""
    simulated: bool = False
    sites: int = 0
    networks: int = 0
    regions: int = 0
    first_day: str = ""
    last_day: str = ""
    records: tuple[str, ...] = ()
    variables: pd.DataFrame | None = None
    history: tuple[dict[str, Any], ...] = ()
    bytes: int = 0

    def of_kind(self, kind: str) -> list[str]:
        """Return the variable names of one kind."""
        if self.variables is None:
            return []
        return self.variables.loc[self.variables["kind"] == kind, "name"].tolist()


def dataset_summaries(store: Store) -> list[DatasetSummary]:
    """Return a summary of every dataset, or why it cannot be read."""
    return [
        _SUMMARIES.cached(path, (), partial(_summarise, store, name, path))
        for name, path in store.datasets().items()
    ]


def catalogue() -> dict[str, list[tuple[str, Availability, dict[str, str]]]]:
    """Return the sources by kind: title, local files, and the catalogue's description."""
    return {
        kind: [
            (entry.title, check_availability(name), describe_source(name))
            for name, entry in sources_of(kind).items()
        ]
        for kind in KINDS
    }


def datasets_table(summaries: list[DatasetSummary]) -> pd.DataFrame:
    """Return one row per dataset: its contents, or why it cannot be read."""
    rows = [
        {
            "dataset": h.name,
            "title": h.title,
            "simulated": h.simulated,
            "sites": h.sites,
            "networks": h.networks,
            "regions": h.regions,
            "first_day": h.first_day,
            "last_day": h.last_day,
            "records": ", ".join(h.records),
            "daily_inputs": len(h.of_kind("daily input")),
            "site_attributes": len(h.of_kind("site attribute")),
            "bytes": h.bytes,
            "license": h.license,
            "path": str(h.path),
            "problem": h.problem,
        }
        for h in summaries
    ]
    return pd.DataFrame(rows).set_index("dataset") if rows else pd.DataFrame()


def history_table(summary: DatasetSummary) -> pd.DataFrame:
    """Return one row per processing step of a dataset, the step's parameters as JSON."""
    rows = [
        {"step": k, "done": json.dumps(step, default=str)} for k, step in enumerate(summary.history, start=1)
    ]
    return pd.DataFrame(rows, columns=["step", "done"]).set_index("step")


def sources_table(catalogue: dict[str, list[tuple[str, Availability, dict[str, str]]]]) -> pd.DataFrame:
    """Return one row per source of the catalogue: its local files and its description."""
    rows = [
        {
            "source": local.name,
            "kind": kind,
            "title": title,
            "here": local.available,
            "files": local.files,
            "bytes": local.bytes,
        }
        # The catalogue's text on location and files must not overwrite the local counts.
        | {
            f"catalogue_{key}" if key in ("here", "files") else key: text
            for key, text in description.items()
            if key != "title"
        }
        for kind, sources in catalogue.items()
        for title, local, description in sources
    ]
    return pd.DataFrame(rows).set_index("source") if rows else pd.DataFrame()


def _summarise(store: Store, name: str, path: Path) -> DatasetSummary:
    try:
        ds = store.dataset(name)
    except (GSM3Error, OSError) as error:
        return DatasetSummary(name=name, path=path, problem=str(error))
    kinds = {n: "soil moisture" for n in (*target_names(ds), v.SM_PRODUCT) if n in ds}
    kinds |= dict.fromkeys(forcing_names(ds), "daily input") | dict.fromkeys(
        attribute_names(ds), "site attribute"
    )
    kinds |= dict.fromkeys(mean_record_names(ds), "daily record of a site attribute")
    rows = []
    for variable, kind in kinds.items():
        attrs = ds[variable].attrs
        known = v.VARIABLES.get(variable)
        rows.append(
            {
                "name": variable,
                "what": str(attrs.get("long_name") or (known.long_name if known else "")),
                "kind": kind,
                "units": str(attrs.get("units", "")),
                "source": str(attrs.get("source") or ds.attrs.get("source", "")),
                "license": str(attrs.get("license") or ds.attrs.get("license", "")),
            }
        )
    days = pd.DatetimeIndex(ds[v.TIME].values)
    networks = len(set(ds[v.NETWORK].values.astype(str)) - {""}) if v.NETWORK in ds.coords else 0
    return DatasetSummary(
        name=name,
        path=path,
        title=str(ds.attrs.get("title", "")),
        license=str(ds.attrs.get("license", "")),
        simulated=is_simulated(ds),
        sites=ds.sizes[v.SITE],
        networks=networks,
        regions=len(set(ds[v.REGION].values.astype(str))),
        first_day=str(days[0].date()),
        last_day=str(days[-1].date()),
        records=tuple((["in situ"] if v.SM_INSITU in ds else []) + list(products(ds))),
        variables=pd.DataFrame(rows),
        history=_history(ds.attrs.get("history", "")),
        bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        if path.is_dir()
        else path.stat().st_size,
    )


def _history(text: object) -> tuple[dict[str, Any], ...]:
    try:
        steps = json.loads(str(text)) if text else []
    except json.JSONDecodeError:
        return ({"step": str(text)},)  # not written by this project
    if not isinstance(steps, list):
        return ({"step": str(text)},)
    return tuple(s if isinstance(s, dict) else {"step": str(s)} for s in steps)
