"""Run time and memory of reading an ISMN archive into a SiteDataset and writing it.

python benchmarks/run.py ismn [--stations 1300 --years 6 --folder PATH --zip]

The archive is synthetic, in the layout "header+values": each station has one hourly sensor at 5 cm with a tenth of its
rows flagged or missing, and a sensor at 20 cm and a soil temperature that should not be opened. Daily means of three
stations are compared with numpy.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from gsm3core.assembly.insitu import build_insitu
from gsm3core.schema import save_dataset

TEMPLATES = 8  # number of different records


def station_rows(years: int, seed: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the lines of one record, its values, and which are flagged good."""
    times = pd.date_range("2015-01-01", periods=years * 365 * 24, freq="h")
    rng = np.random.default_rng(seed)
    values = np.round(np.clip(0.25 + np.cumsum(rng.normal(0, 0.001, len(times))), 0.01, 0.6), 4)
    good = rng.random(len(times)) > 0.1
    stamps = times.strftime("%Y/%m/%d %H:%M")
    lines = [f"{t} {x:8.4f} {'G' if g else 'D03'} M" for t, x, g in zip(stamps, values, good, strict=True)]
    return "\n".join(lines) + "\n", values, good


def write_archive(root: Path, stations: int, years: int) -> None:
    """Write the folder of the archive."""
    bodies = [station_rows(years, seed)[0] for seed in range(TEMPLATES)]
    for k in range(stations):
        network, name = f"NET{k % 20}", f"S{k:04d}"
        folder = root / network / name
        folder.mkdir(parents=True)
        for variable, depth in (("sm", 0.05), ("sm", 0.2), ("ts", 0.05)):
            location = f"{30 + k % 40:.5f}  {-120 + k % 100:.5f}  100.00  {depth:.2f}  {depth:.2f}"
            head = f"{network}   {network}   {name}   {location} Probe\n"
            file = (
                f"{network}_{network}_{name}_{variable}_{depth:.6f}_{depth:.6f}_Probe_20150101_20201231.stm"
            )
            body = bodies[k % TEMPLATES] if (variable, depth) == ("sm", 0.05) else ""
            (folder / file).write_text(head + body)


def zip_archive(root: Path) -> Path:
    """Zip the folder as ISMN does."""
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for file in sorted(root.rglob("*.stm")):
            packed.write(file, file.relative_to(root))
    return path


def print_line(text: str) -> None:
    """Print a line and flush."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Write the archive, read it, and print one line per step."""
    parser = argparse.ArgumentParser(prog="run.py ismn")
    parser.add_argument("--stations", type=int, default=1300)
    parser.add_argument("--years", type=int, default=6)
    parser.add_argument(
        "--folder", type=Path, default=None, help="folder to write to; a temporary folder by default"
    )
    parser.add_argument("--zip", action="store_true")
    args = parser.parse_args(arguments)
    work = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        measure(work, args.stations, args.years, packed=args.zip)
    finally:
        shutil.rmtree(work)


def measure(work: Path, stations: int, years: int, *, packed: bool) -> None:
    """Measure reading and writing, and compare three stations with numpy."""
    start = time.perf_counter()
    write_archive(work / "archive", stations, years)
    source = zip_archive(work / "archive") if packed else work / "archive"
    size = sum(p.stat().st_size for p in work.rglob("*") if p.is_file() and (p.suffix == ".zip") == packed)
    print_line(f"archive: {stations} stations, {years} years hourly, {size / 1e9:.2f} GB, written in "
          f"{time.perf_counter() - start:.0f} s")  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    ds, table = build_insitu("ismn", source)
    read = time.perf_counter() - start
    save_dataset(ds, work / "out.zarr")
    total = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    rows = int(table["rows_read"].sum())
    print_line(f"read: {read:.1f} s ({rows / read / 1e6:.2f} million rows a second); with writing {total:.1f} s; "
          f"CPU {used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime:.1f} s; "
          f"peak memory {used.ru_maxrss / 1024:.0f} MB (before {before.ru_maxrss / 1024:.0f} MB)")  # fmt: skip
    print_line(f"ismn package imported: {'yes' if 'ismn' in sys.modules else 'no'}")
    for k in (0, 1, min(stations - 1, TEMPLATES - 1)):
        _, values, good = station_rows(years, k % TEMPLATES)
        hours = good.reshape(-1, 24).sum(1)
        mean = np.where(good, values, 0).reshape(-1, 24).sum(1) / np.maximum(hours, 1)
        site = ds["sm_insitu"].sel(site=f"NET{k % 20}_S{k:04d}").to_numpy()
        np.testing.assert_allclose(site, np.where(hours >= 6, mean, np.nan), rtol=1e-6)
    print_line("three stations agree with numpy")
