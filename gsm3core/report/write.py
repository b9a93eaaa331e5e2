"""Writing of a report: page, tables as CSV and scores as netCDF, in one atomic step."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from gsm3core.errors import RunError
from gsm3core.evaluation.reference_scaling import NO_SCALING
from gsm3core.files import atomic_write
from gsm3core.metrics.rescaling import Scaling
from gsm3core.report.inputs import read_inputs
from gsm3core.report.page import render
from gsm3core.report.sections import CALIBRATION, build_content
from gsm3core.run import Run

PAGE = "report.html"


def write_report(
    runs: Sequence[Run | str | Path],
    out: str | Path,
    *,
    reference: str | None = None,
    overwrite: bool = False,
    scaling: Scaling = NO_SCALING,
    masks: Sequence[str] = (),
) -> Path:
    """Write the evaluation report of one or more runs and return the path of the page.

    Parameters
    ----------
    runs
        The run to report, then runs of other holdouts of the same dataset, which complete Table 1 and the types of
        error.
    out
        New folder for ``report.html``, ``tables/*.csv`` and ``data/*.nc``.
    reference
        ``sm_insitu`` or ``sm_smap``; by default the first reference of the first run.
    overwrite
        Replace an existing report. Any other folder is refused.
    scaling, masks
        As for :func:`gsm3core.score_run`; the page and every table state them.

    Raises
    ------
    RunError
        If scores are missing, the runs have different datasets or the same holdout, or ``out`` exists.
    """
    out = Path(out)
    _check_target(out, overwrite)
    opened = [run if isinstance(run, Run) else Run.open(run) for run in runs]
    inputs = read_inputs(opened, reference, scaling=scaling, masks=masks)
    content = build_content(inputs)
    command = ["gsm3", "report", *(str(run.folder) for run in opened), "--out", out.name]
    command += ["--reference", reference] if reference else []
    command += ["--scaling", scaling] if scaling != NO_SCALING else []
    command += ["--mask", ",".join(masks)] if masks else []
    page = render(inputs, content.sections, command)

    staging = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        (staging / "tables").mkdir(parents=True)
        for section in content.sections:
            for table in section.tables:
                frame = table.frame.assign(simulated=True) if inputs.simulated else table.frame
                if inputs.conditions and section.name != CALIBRATION:
                    frame = frame.assign(scaling=scaling, masks=" ".join(masks))
                frame.to_csv(staging / "tables" / f"{table.name}.csv", index=False)
        for name, ds in content.datasets.items():
            ds = ds.assign_attrs(simulated=str(inputs.simulated).lower())
            atomic_write(ds, staging / "data" / f"{name}.nc")
        (staging / PAGE).write_text(page, encoding="utf-8")
        if out.exists():
            old = out.with_name(f".{out.name}.{secrets.token_hex(4)}.old")
            out.rename(old)
            staging.rename(out)
            shutil.rmtree(old)
        else:
            staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out / PAGE


def _check_target(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise RunError(f"{out} exists. Choose another folder, or pass overwrite=True (--overwrite).")
    # The replaced folder is deleted, so it must contain nothing but a report.
    report_files = {PAGE, "tables", "data"}
    if not out.is_dir() or (other := sorted(p.name for p in out.iterdir() if p.name not in report_files)):
        reason = f"it contains {other[0]!r}" if out.is_dir() else "it is a file"
        raise RunError(f"{out} is not a report ({reason}) and is not overwritten. Choose another folder.")
