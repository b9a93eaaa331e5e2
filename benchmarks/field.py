"""Outcomes of inputs as they arrive from the field: right, refused with the cause named, misleading, or wrong.

python benchmarks/run.py field [FOLDER] [--more] [--only TEXT] [--code CHECKOUT ...] [--csv FILE] [--show NAME]

The cases of FOLDER are in :mod:`benchmarks.field_cases`; ``--more`` adds further inputs of the same kinds that code
writes (:mod:`benchmarks.field_more`). Every case runs the commands of a user in a temporary folder, each in a process of its
own. ``--code`` runs the commands of another checkout; twice, for a table of before and after. ``--show`` prints the commands of
one case and all that they print.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.field_cases import folder_cases
from benchmarks.field_more import more_cases
from benchmarks.field_verdicts import GOOD, HANG, KINDS, NOT_RUN, VERDICTS, Case, Outcome, judge

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data" / "field"
SECONDS = 120.0
_WIDTHS = (1, 32, 34, 21, 64)


class Worker:
    """Runs the ``gsm3`` commands of one checkout (:mod:`benchmarks.field_worker`)."""

    def __init__(self, code: Path) -> None:
        environment = os.environ | {
            "PYTHONPATH": str(code),
            "COLUMNS": "400",
            "OMP_NUM_THREADS": "1",
            "GSM3_OFFLINE": "1",
        }
        environment.pop("GSM3_SOURCES", None)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("field_worker.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tempfile.gettempdir(),
        )  # fmt: skip
        self.code = Path(self._answer()["output"])

    def run(self, folder: Path, arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
        """Return exit status and output of a command; the status is ``None`` if it was ended after ``seconds``."""
        assert self._process.stdin is not None
        request = {"folder": str(folder), "arguments": list(arguments), "seconds": seconds}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["code"], answer["output"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of the commands ended with status {self._process.wait(10)}")
        return dict(json.loads(line))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case under one checkout."""

    case: Case
    verdict: str
    outcome: str


@contextmanager
def worker_of(code: Path) -> Iterator[Worker]:
    """Start the process of a checkout's commands, and end it."""
    worker = Worker(code)
    try:
        yield worker
    finally:
        worker.close()


def run_case(case: Case, worker: Worker, *, seconds: float = SECONDS, show: bool = False) -> Row:
    """Run a case in a temporary folder and judge what it left."""
    with tempfile.TemporaryDirectory(prefix="gsm3-field-") as name:
        folder = Path(name)
        try:
            case.prepare(folder)
        except Exception as error:  # noqa: BLE001  an input that cannot be written must not stop the table
            return Row(case=case, verdict=NOT_RUN, outcome=f"no input: {type(error).__name__}: {error}")
        code: int | None = 0
        texts = []
        for command in case.commands:
            done, text = worker.run(folder, command, seconds)
            texts.append(text)
            if show:
                write(f"$ gsm3 {' '.join(command)}\n{text}[{done}]\n")
            code = done
            if done != 0:
                break
        outcome = Outcome(folder=folder, output="\n".join(texts), last=texts[-1], code=code)
        verdict, text = judge(case, outcome)
        return Row(
            case=case,
            verdict=verdict,
            outcome=" ".join(text.replace(str(folder), "").replace("/private", "").split()),
        )


def run_cases(
    cases: Sequence[Case], code: Path, *, seconds: float = SECONDS, show: bool = False
) -> list[Row]:
    """Run all cases with the commands of a checkout; a failure or a hang of one does not concern the others."""
    rows = []
    with worker_of(code) as worker:
        for k, case in enumerate(cases, 1):
            sys.stderr.write(f"\r{k}/{len(cases)} {case.name[:60]:60}")
            sys.stderr.flush()
            rows.append(run_case(case, worker, seconds=seconds, show=show))
    sys.stderr.write("\r" + " " * 72 + "\r")
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the table as text: kind, situation, right outcome, verdict and outcome."""
    lines = [_line(("", "situation", "right", "verdict", "outcome")), "-" * (sum(_WIDTHS) + 8)]
    for row in sorted(rows, key=lambda r: r.case.kind):
        lines.append(_line((row.case.kind, row.case.name, row.case.right, row.verdict, row.outcome)))
    return "\n".join(lines)


def summary(rows: Sequence[Row]) -> str:
    """Return the number of cases by verdict, and by kind."""
    counts = Counter(r.verdict for r in rows)
    lines = [f"{len(rows)} inputs, {sum(counts[x] for x in GOOD)} right or refused with the cause named"]
    lines += [f"{counts[x]:5d}  {x}" for x in VERDICTS if counts[x]]
    for kind, what in KINDS.items():
        if of_kind := [r for r in rows if r.case.kind == kind]:
            good = sum(r.verdict in GOOD for r in of_kind)
            lines.append(f"{kind} {good:2d} of {len(of_kind):2d}  {what}")
    return "\n".join(lines)


def changes(before: Sequence[Row], after: Sequence[Row]) -> str:
    """Return the cases whose verdict differs, and the number of verdicts before and after."""
    pairs = list(zip(before, after, strict=True))
    lines = [
        f"{b.case.kind} {b.case.name:44} {b.verdict:22} -> {a.verdict}"
        for b, a in pairs
        if b.verdict != a.verdict
    ]
    old, new = (Counter(r.verdict for r in rows) for rows in (before, after))
    lines += ["", f"{'verdict':24}{'before':>8}{'after':>8}"]
    lines += [f"{x:24}{old[x]:8d}{new[x]:8d}" for x in VERDICTS if old[x] or new[x]]
    return "\n".join(lines)


def write_csv(rows: Sequence[tuple[str, Row]], path: Path) -> None:
    """Write checkout, kind, case, right outcome, verdict and outcome of every row."""
    with path.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(("code", "kind", "case", "right", "verdict", "outcome", "source"))
        for code, r in rows:
            writer.writerow(
                (code, r.case.kind, r.case.name, r.case.right, r.verdict, r.outcome, r.case.source)
            )


def write(text: str) -> None:
    """Print a text and a line end."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _line(cells: Sequence[str]) -> str:
    columns = [
        textwrap.wrap(cell, width)[:4] or [""]
        for cell, width in zip(cells, _WIDTHS, strict=True)
    ]  # fmt: skip
    height = max(map(len, columns))
    return "\n".join(
        "  ".join(
            (c[k] if k < len(c) else "").ljust(w) for c, w in zip(columns, _WIDTHS, strict=True)
        ).rstrip()
        for k in range(height)
    )


def main(arguments: list[str]) -> None:
    """Print the table of all cases, for one checkout or for two."""
    parser = argparse.ArgumentParser(
        prog="run.py field", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED)
    parser.add_argument("--more", action="store_true", help="add the inputs that code writes")
    parser.add_argument(
        "--only", default="", help="cases whose name contains this text, or of this kind (A to H)"
    )
    parser.add_argument(
        "--code", type=Path, action="append", help="checkout whose commands run; twice: before, after"
    )
    parser.add_argument("--csv", type=Path, help="write the rows to this file")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="limit of one command")
    parser.add_argument("--show", default="", help="print commands and output of the case of this name")
    options = parser.parse_args(arguments)
    cases: list[Case] = []
    if options.folder.is_dir():
        cases += folder_cases(options.folder.resolve())
    else:
        write(f"The folder of field inputs is absent: {options.folder}. Its cases are skipped.")
    if options.more or not options.folder.is_dir():
        cases += more_cases()
    wanted = options.show or options.only
    if wanted:
        cases = [c for c in cases if wanted in c.name or wanted == c.kind]
    results = []
    for code in (options.code or [ROOT]) if cases else []:
        rows = run_cases(cases, code.resolve(), seconds=options.seconds, show=bool(options.show))
        write(f"Code: {code}\n\n{table(rows)}\n\n{summary(rows)}\n")
        results.append((str(code), rows))
    if len(results) == 2:
        write(changes(results[0][1], results[1][1]))
    if options.csv:
        write_csv([(code, r) for code, rows in results for r in rows], options.csv)
    if hangs := [r.case.name for _, rows in results for r in rows if r.verdict == HANG]:
        write(f"Ended after {options.seconds:g} s: {', '.join(hangs)}")
