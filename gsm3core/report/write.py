"""Writes a report: one page, the tables as CSV and the scores as netCDF, all of it or nothing."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from gsm3core.errors import RunError
from gsm3core.files import atomic_write
from gsm3core.report.inputs import read_inputs
from gsm3core.report.page import render
from gsm3core.report.sections import findings
from gsm3core.run import Run

PAGE = "report.html"


def write_report(
    runs: Sequence[Run | str | Path],
    out: str | Path,
    *,
    reference: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the report of a run, with runs of other holdouts beside it.

    Parameters
    ----------
    runs
        The run to report, then runs of other holdouts of the same dataset: they fill the other parts of Table 1 and
        tell the types of error apart.
    out
        A folder that is made: ``report.html``, ``tables/*.csv``, ``data/*.nc``.
    reference
        ``sm_insitu`` or ``sm_smap``; by default the first that the first run was scored against.
    overwrite
        Replace a report that is there. Any other folder is left alone.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    RunError
        If a run has no scores, the runs do not belong together, or ``out`` exists.
    """
    out = Path(out)
    _refuse(out, overwrite)
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    material = read_inputs(opened, reference)
    found = findings(material)
    command = ["gsm3", "report", *(str(run.folder) for run in opened), "--out", out.name]
    command += ["--reference", reference] if reference else []
    page = render(material, found.sections, command)

    beside = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        (beside / "tables").mkdir(parents=True)
        for section in found.sections:
            for table in section.tables:
                frame = table.frame.assign(simulated=True) if material.simulated else table.frame
                frame.to_csv(beside / "tables" / f"{table.name}.csv", index=False)
        for name, ds in found.datasets.items():
            ds = ds.assign_attrs(simulated=str(material.simulated).lower())
            atomic_write(ds, beside / "data" / f"{name}.nc")
        (beside / PAGE).write_text(page, encoding="utf-8")
        if out.exists():
            old = out.with_name(f".{out.name}.{secrets.token_hex(4)}.old")
            out.rename(old)
            beside.rename(out)
            shutil.rmtree(old)
        else:
            beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out / PAGE


def _refuse(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise RunError(f"{out} exists. Choose another folder, or pass overwrite=True (--overwrite).")
    # What is replaced is deleted: only ever a report.
    ours = {PAGE, "tables", "data"}
    if not out.is_dir() or (strangers := sorted(p.name for p in out.iterdir() if p.name not in ours)):
        held = f"holds {strangers[0]!r}" if out.is_dir() else "is a file"
        raise RunError(f"{out} is no report ({held}) and is not replaced. Choose another folder.")
