"""Availability of sources on this machine, and their catalogue descriptions (``gsm3 data list``, ``describe``)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from gsm3core.catalog import Access, source_entries, source_entry
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.readers.granules import matching_files
from gsm3core.resources import catalog_folder

SOURCES_VARIABLE = "GSM3_SOURCES"
_SOURCES_FILE = "sources.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Files of a source on this machine, and what is missing.

    Parameters
    ----------
    on_request
        Whether a build requests what is missing.
    """

    name: str
    folder: Path
    files: int
    bytes: int
    missing: str
    on_request: bool = False

    @property
    def available(self) -> bool:
        """Whether any file of the source was found."""
        return self.files > 0


def source_folder(name: str, root: Path | None = None) -> Path:
    """Return the folder of a source's files.

    Parameters
    ----------
    name
        Source name.
    root
        Folder of all sources; by default ``$GSM3_SOURCES`` or ``data/sources``. The source's folder is ``root/<name>``,
        unless ``root/sources.yaml`` maps the name to another folder, such as an existing archive.

    Raises
    ------
    DatasetError
        If ``sources.yaml`` is not a mapping of source names to folders.
    """
    root = root or Path(os.environ.get(SOURCES_VARIABLE, Path("data") / "sources"))
    mapping = root / _SOURCES_FILE
    if mapping.is_file():
        try:
            table = yaml.safe_load(mapping.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise DatasetError(f"{mapping} is not valid YAML: {error}.") from error
        if not isinstance(table, dict) or not all(isinstance(x, str) for x in table.values()):
            raise DatasetError(f"{mapping} must map source names to folders, one `name: folder` per line.")
        for unknown in sorted(set(map(str, table)) - set(source_entries())):
            raise DatasetError(
                f"{mapping}: unknown source {unknown!r}. {did_you_mean(unknown, source_entries())}"
            )
        if name in table:
            return root / Path(table[name]).expanduser()
    return root / name


def check_availability(name: str, root: Path | None = None) -> Availability:
    """Return the files of a source on this machine.

    Parameters
    ----------
    root
        See :func:`source_folder`.
    """
    entry, folder = source_entry(name), source_folder(name, root)
    services = [a for a in entry.access if a.kind in ("service", "cds") and entry.grid.kind == "points"]
    if entry.grid.kind == "points" and not services:
        folder = catalog_folder() / "regions"  # a map that is part of the program
    sizes = [p.stat().st_size for p in matching_files(entry, folder)] if folder.is_dir() else []
    missing = (
        f"no folder {folder}" if not folder.is_dir() else "" if sizes else f"no file like {entry.example}"
    )
    if not sizes and services:
        missing = "none yet: a build requests them"
    return Availability(
        name=name,
        folder=folder,
        files=len(sizes),
        bytes=sum(sizes),
        missing=missing,
        on_request=bool(services),
    )


def describe_source(name: str, root: Path | None = None) -> dict[str, str]:
    """Return the catalogue entry of a source as text by heading, as ``gsm3 data describe`` shows it.

    Parameters
    ----------
    root
        See :func:`source_folder`.
    """
    entry, found = source_entry(name), check_availability(name, root)
    size = (
        f"{found.files} files, {found.bytes / 1e6:.1f} MB in {found.folder}"
        if found.available
        else found.missing
    )
    variables = [
        f"{x.ours} [{x.our_units}] from {' or '.join(x.theirs)}, units {' or '.join(filter(None, x.units)) or 'not stated'}"
        + (f", valid range {x.valid_range[0]:g} to {x.valid_range[1]:g}" if x.valid_range else "")
        + (f", fill value {x.fill:g}" if x.fill is not None else "")
        + (f". {x.note}" if x.note else "")
        for x in entry.variables
    ]
    cells = f", {entry.grid.rows} x {entry.grid.columns}" if entry.grid.rows else ""
    rows = {
        "title": entry.title,
        "on this machine": size,
        "provider": entry.provider,
        "licence": entry.license,
        "citation": f"{entry.citation} {f'doi:{entry.doi}' if entry.doi else ''}".strip(),
        "access": "\n".join(map(_describe_access, entry.access)),
        "format": entry.format,
        "file names": f"such as {entry.example}",
        "variables": "\n".join(variables),
        "quality flags": "\n".join(f"{q.flag}: {q.meaning}. Default: {q.default}" for q in entry.quality),
        "not read": "; ".join(x.title for x in entry.siblings),
        "grid": f"{entry.grid.kind} {entry.grid.name} {entry.grid.cell}{cells} {entry.grid.note}".strip(),
        "time step": entry.step,
        "period": f"{entry.start or '?'} to {entry.end or 'present'}" if entry.start else "",
        "UTC day": entry.day,
        "in the GSM3 paper": entry.paper,
        "notes": entry.notes,
        "verification": entry.checked,
        "reader": entry.reader,
    }
    return {key: text for key, text in rows.items() if text}


def _describe_access(access: Access) -> str:
    what = {
        "url": access.url,
        "manual": access.url,
        "earthdata": f"Earthdata {access.short_name} version {access.version}",
        "cds": f"Climate Data Store, {access.dataset}",
        "service": access.url,
    }[access.kind]
    account = "no registration" if access.registration == "none" else access.registration
    text = f"{what} ({account})" + (f": {access.note}" if access.note else "")
    return text + (f" [live service: {access.tried}]" if access.tried else "")
