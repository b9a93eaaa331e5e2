"""What data are here: the datasets, what each holds and where it came from; and the sources of the catalogue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from app.services.cache import ResultCache
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.catalog import KINDS, sources_of
from gsm3core.errors import GSM3Error
from gsm3core.readers.availability import Presence, describe_source, presence
from gsm3core.schema import attribute_names, forcing_names, is_simulated, products, target_names

_KEPT: ResultCache[DatasetSummary] = ResultCache(64)


@dataclass(frozen=True, kw_only=True)
class DatasetSummary:
    """What one dataset holds.

    Parameters
    ----------
    name, path
        Of the dataset.
    problem
        Why it cannot be read; the rest is then empty.
    title, license, simulated
        As the dataset says.
    sites, networks, regions, first_day, last_day
        Counts, and the ends of its record.
    variables
        A row per variable: name, what it is, kind, units, source, licence.
    history
        Steps that made it, oldest first.
    bytes
        On disk.
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
        """Return the names of the variables of one kind."""
        if self.variables is None:
            return []
        return self.variables.loc[self.variables["kind"] == kind, "name"].tolist()


def holdings(store: Store) -> list[DatasetSummary]:
    """Return every dataset; one that cannot be read says why."""
    return [_holding(store, name, path) for name, path in store.datasets().items()]


def catalogue() -> dict[str, list[tuple[str, Presence, dict[str, str]]]]:
    """Return the sources by kind: title, whether it is here, and what the catalogue says of it."""
    return {
        kind: [
            (entry.title, presence(name), describe_source(name)) for name, entry in sources_of(kind).items()
        ]
        for kind in KINDS
    }


def datasets_table(found: list[DatasetSummary]) -> pd.DataFrame:
    """Return a row per dataset: what it holds, or why it cannot be read."""
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
        for h in found
    ]
    return pd.DataFrame(rows).set_index("dataset") if rows else pd.DataFrame()


def history_table(holding: DatasetSummary) -> pd.DataFrame:
    """Return a row per step that made a dataset; what was done as JSON."""
    rows = [
        {"step": k, "done": json.dumps(step, default=str)} for k, step in enumerate(holding.history, start=1)
    ]
    return pd.DataFrame(rows, columns=["step", "done"]).set_index("step")


def sources_table(found: dict[str, list[tuple[str, Presence, dict[str, str]]]]) -> pd.DataFrame:
    """Return a row per source of the catalogue: whether it is here, and everything that the catalogue says of it."""
    rows = [
        {
            "source": there.name,
            "kind": kind,
            "title": title,
            "here": there.here,
            "files": there.files,
            "bytes": there.bytes,
        }
        # What the catalogue says of its whereabouts is text, and stands beside what was found.
        | {
            f"catalogue_{key}" if key in ("here", "files") else key: text
            for key, text in told.items()
            if key != "title"
        }
        for kind, sources in found.items()
        for title, there, told in sources
    ]
    return pd.DataFrame(rows).set_index("source") if rows else pd.DataFrame()


def _holding(store: Store, name: str, path: Path) -> DatasetSummary:
    version = path.stat().st_mtime_ns if path.exists() else 0
    return _KEPT.get((path, version), lambda: _read(store, name, path))


def _read(store: Store, name: str, path: Path) -> DatasetSummary:
    try:
        ds = store.dataset(name)
    except (GSM3Error, OSError) as error:
        return DatasetSummary(name=name, path=path, problem=str(error))
    kinds = {n: "soil moisture" for n in (*target_names(ds), v.SM_PRODUCT) if n in ds}
    kinds |= dict.fromkeys(forcing_names(ds), "daily input") | dict.fromkeys(
        attribute_names(ds), "site attribute"
    )
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
