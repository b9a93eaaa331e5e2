"""Names of source files as distributors, browsers and download tools save them."""

from __future__ import annotations

import filecmp
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from gsm3core.catalog import Sibling, SourceEntry

_SUFFIX = r"(?:nc4?|hdf5?|h5|tiff?)"
# A second suffix after the producer's: the format of the answer of a subsetter or of an OPeNDAP server.
_REPEATED = re.compile(rf"(\.{_SUFFIX})(?:\.sub|\.dap|\.dods)?\.({_SUFFIX})$", re.I)
_SAMPLE = 4096  # bytes
_PACKED = re.compile(r"\.(gz|tgz|tar|zip|bz2|z|7z)$", re.I)
_COPIES = (
    re.compile(rf"(\.{_SUFFIX})\.\d{{1,2}}$", re.I),  # wget: x.nc.1
    re.compile(rf"(?: ?\(\d{{1,2}}\)| - copy(?: \(\d+\))?| copy(?: \d+)?|_copy)(\.{_SUFFIX})$", re.I),
)


@lru_cache(maxsize=500_000)  # an archive has many files, and is listed for every month of a build
def producer_name(name: str) -> str:
    """Return a file name without what distributors and download tools add to it.

    Parameters
    ----------
    name
        Name of a file on this machine.

    Notes
    -----
    GES DISC's subsetter adds ``.SUB`` and a second suffix, and a download tool may save its whole address
    (``HTTP_services.cgi?FILENAME=...&LABEL=...``); OPeNDAP servers add ``.nc4`` or ``.dap.nc4``
    (https://opendap.github.io/documentation/), with the constraint after a question mark; NSIDC's reformatting (HEG) adds
    ``_HEGOUT``. Browsers number copies (``x (1).nc``), and so does wget (``x.nc.1``).
    """
    text = unquote(name)
    if "?" in text or "&" in text:
        named = re.search(r"[?&](?:LABEL|FILENAME)=([^&]+)", text, re.I)
        labels = re.findall(r"[?&]LABEL=([^&]+)", text, re.I)
        text = labels[-1] if labels else named[1] if named else re.split(r"[?]", text)[0]
    text = re.split(r"[/\\]", text)[-1]
    for pattern in _COPIES:
        text = pattern.sub(r"\1", text)
    while True:
        shorter = _REPEATED.sub(r"\1", text)
        shorter = re.sub(rf"\.sub(\.{_SUFFIX})$", r"\1", shorter, flags=re.I)
        shorter = re.sub(rf"_HEGOUT(\.{_SUFFIX})$", r"\1", shorter, flags=re.I)
        for pattern in _COPIES:
            shorter = pattern.sub(r"\1", shorter)
        if shorter == text:
            return text
        text = shorter


def match_name(entry: SourceEntry, name: str) -> re.Match[str] | None:
    """Return the match of a file name with a source's names, whatever its case and additions; ``None`` if there is none."""
    return re.search(entry.files, name, re.I) or re.search(entry.files, producer_name(name), re.I)


def is_packed(entry: SourceEntry, name: str) -> bool:
    """Return whether a file is an archive of a source's file, by its name."""
    shorter = name
    while _PACKED.search(shorter):
        shorter = _PACKED.sub("", shorter)
    # SMOS archives have the name of the file without its suffix.
    return shorter != name and any(
        match_name(entry, shorter + s) for s in ("", ".nc", ".nc4", ".h5", ".DBL.nc")
    )


def sibling_of_name(entry: SourceEntry, name: str) -> Sibling | None:
    """Return the other product that a file name belongs to."""
    patterns = [s.files for s in entry.siblings if s.files]
    shorter = producer_name(name)
    if not patterns or not re.search("|".join(patterns), shorter, re.I):
        return None
    return next(s for s in entry.siblings if s.files and re.search(s.files, shorter, re.I))


def without_identical_copies(paths: Iterable[Path]) -> list[Path]:
    """Return files without those that have the producer's name and the bytes of another one, in the order of their names.

    Copies with other bytes are kept: subsets of several areas have the same names.
    """
    by_name: dict[str, list[Path]] = {}
    for path in sorted(paths, key=lambda p: (len(p.name), p.name, str(p))):
        by_name.setdefault(producer_name(path.name).lower(), []).append(path)
    chosen: list[Path] = []
    for same in by_name.values():
        if len(same) == 1:
            chosen += same
            continue
        kept: dict[bytes, list[Path]] = {}
        for path in same:
            # Files of many months may have one name and size: few bytes distinguish them.
            others = kept.setdefault(_sample(path), [])
            if not any(filecmp.cmp(path, other, shallow=False) for other in others):
                others.append(path)
                chosen.append(path)
    return sorted(chosen, key=lambda p: (p.name, str(p)))


def _sample(path: Path) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as opened:
        parts = []
        for place in (0, size // 3, size // 2, max(0, size - _SAMPLE)):
            opened.seek(place)
            parts.append(opened.read(_SAMPLE))
    return b"%d " % size + b"".join(parts)
