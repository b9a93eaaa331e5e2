"""Which sources are on this machine, where, and what is missing: what ``gsm3 data list`` shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from gsm3core.catalog import Access, source_entries, source_entry
from gsm3core.errors import DatasetError, did_you_mean
from gsm3core.readers.files import matching_files

SOURCES_VARIABLE = "GSM3_SOURCES"
_PLACES = "sources.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Whether a source is on this machine: where, how many of its files, and what is missing."""

    name: str
    folder: Path
    files: int
    bytes: int
    missing: str

    @property
    def here(self) -> bool:
        """Tell whether any file of the source was found."""
        return self.files > 0


def source_folder(name: str, root: Path | None = None) -> Path:
    """Return where a source's files are expected.

    Parameters
    ----------
    name
        Of the source.
    root
        Folder of all sources; by default ``$GSM3_SOURCES`` or ``data/sources``. The source's folder is
        ``root/<name>``, unless ``root/sources.yaml`` (a mapping of names to folders) says otherwise, because large
        archives lie where they lie.

    Raises
    ------
    DatasetError
        If ``sources.yaml`` is not such a mapping.
    """
    root = root or Path(os.environ.get(SOURCES_VARIABLE, Path("data") / "sources"))
    places = root / _PLACES
    if places.is_file():
        try:
            table = yaml.safe_load(places.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise DatasetError(f"{places} is not valid YAML: {error}.") from error
        if not isinstance(table, dict) or not all(isinstance(x, str) for x in table.values()):
            raise DatasetError(f"{places} must map names of sources to folders, one `name: folder` a line.")
        for unknown in sorted(set(map(str, table)) - set(source_entries())):
            raise DatasetError(f"{places} names {unknown!r}. {did_you_mean(unknown, source_entries())}")
        if name in table:
            return root / Path(table[name]).expanduser()
    return root / name


def presence(name: str, root: Path | None = None) -> Presence:
    """Look whether a source's files are here.

    Parameters
    ----------
    name
        Of the source.
    root
        See :func:`source_folder`.
    """
    entry, folder = source_entry(name), source_folder(name, root)
    sizes = [p.stat().st_size for p in matching_files(entry, folder)] if folder.is_dir() else []
    missing = (
        f"no folder {folder}" if not folder.is_dir() else "" if sizes else f"no file like {entry.example}"
    )
    return Presence(name=name, folder=folder, files=len(sizes), bytes=sum(sizes), missing=missing)


def describe_source(name: str, root: Path | None = None) -> dict[str, str]:
    """Return what the catalogue says of a source, a line or more a heading: what ``gsm3 data describe`` shows.

    Parameters
    ----------
    name
        Of the source.
    root
        See :func:`source_folder`.
    """
    entry, found = source_entry(name), presence(name, root)
    size = (
        f"{found.files} files, {found.bytes / 1e6:.1f} MB in {found.folder}" if found.here else found.missing
    )
    variables = [
        f"{x.ours} [{x.our_units}] from {' or '.join(x.theirs)} in {' or '.join(filter(None, x.units)) or 'no stated units'}"
        + (f", {x.valid_range[0]:g} to {x.valid_range[1]:g}" if x.valid_range else "")
        + (f", fill {x.fill:g}" if x.fill is not None else "")
        + (f". {x.note}" if x.note else "")
        for x in entry.variables
    ]
    cells = f", {entry.grid.rows} x {entry.grid.columns}" if entry.grid.rows else ""
    rows = {
        "title": entry.title,
        "here": size,
        "provider": entry.provider,
        "licence": entry.license,
        "citation": f"{entry.citation} {f'doi:{entry.doi}' if entry.doi else ''}".strip(),
        "how to get it": "\n".join(map(_how, entry.access)),
        "format": entry.format,
        "files": f"such as {entry.example}",
        "variables": "\n".join(variables),
        "quality": "\n".join(f"{q.flag}: {q.meaning}. Default: {q.default}" for q in entry.quality),
        "grid": f"{entry.grid.kind} {entry.grid.name} {entry.grid.cell}{cells} {entry.grid.note}".strip(),
        "step": entry.step,
        "days": f"{entry.start or '?'} to {entry.end or 'now'}" if entry.start else "",
        "UTC day": entry.day,
        "in the paper": entry.paper,
        "notes": entry.notes,
        "checked": entry.checked,
        "reader": entry.reader,
    }
    return {key: text for key, text in rows.items() if text}


def _how(access: Access) -> str:
    what = {
        "url": access.url,
        "manual": access.url,
        "earthdata": f"Earthdata {access.short_name} version {access.version}",
        "cds": f"Climate Data Store, {access.dataset}",
    }[access.kind]
    account = "no registration" if access.registration == "none" else access.registration
    return f"{what} ({account})" + (f": {access.note}" if access.note else "")
