"""Available datasets: contents and processing history."""

from __future__ import annotations

import json
import shlex
from html import escape
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from app.export.dialog import ExportDialog, ExportItem
from app.services.dataset_inventory import DatasetSummary, datasets_table, history_table
from app.session.selection import NEWEST, SITES, Selection
from app.ui.card import card, heading
from app.ui.formatting import TABLE, html_table

_KINDS = ("soil moisture", "daily input", "site attribute")
_MAX_CHARACTERS = 1500  # of a processing step


class Datasets:
    """Table of the datasets, and details of one of them."""

    def __init__(self, selection: Selection, export: ExportDialog) -> None:
        self._selection = selection
        self._datasets: dict[str, DatasetSummary] = {}
        self._table = pn.pane.HTML(
            stylesheets=[TABLE], margin=0, sizing_mode="stretch_width", css_classes=["datasets"]
        )
        self.selected = pmui.Select(
            label="Details of", options={}, size="small", width=280, margin=(10, 12, 4, 0)
        )
        self.open = pmui.Button(
            label="Show on the Sites page",
            variant="contained",
            icon="map",
            on_click=self._open,
            margin=(12, 0, 4, 0),
        )
        self._detail = pn.pane.HTML(
            stylesheets=[TABLE],
            margin=(4, 0, 0, 0),
            sizing_mode="stretch_width",
            css_classes=["dataset-detail"],
        )
        title = heading("Available datasets", "Datasets for the pages of this dashboard and for experiments.")
        item = ExportItem(
            title="available datasets",
            tables={
                "Datasets": lambda: datasets_table(list(self._datasets.values())),
                "Variables": self._variables,
                "Processing history": self._steps,
            },
            code=self._code,
            code_title="Command line:",
            about=self._about,
        )
        self.card = card(
            export.heading_row(pn.pane.HTML(title, margin=0, sizing_mode="stretch_width"), item),
            self._table,
            pn.Row(self.selected, self.open, margin=0),
            self._detail,
        )
        self.selected.param.watch(lambda _: self._show_details(), "value")

    def show(self, datasets: list[DatasetSummary], preferred: str = "") -> None:
        """List the datasets and show details of ``preferred``, else of the same one as before."""
        self._datasets = {dataset.name: dataset for dataset in datasets}
        names = {dataset.name: dataset.name for dataset in datasets}
        head = ["Dataset", "Title", "Sites", "Networks", "Days", "Records", "Inputs", "MB"]
        rows = [_row(dataset) for dataset in datasets]
        empty = (
            "<p>No datasets. Build one with <code>gsm3 data build</code>, or restart with an empty data folder to create the "
            "simulated demonstration.</p>"
        )
        self._table.object = html_table(head, rows, texts=2) if rows else empty
        value = next(
            (n for n in (preferred, self.selected.value, self._selection.dataset) if n in names), None
        )
        self.selected.param.update(options=names, value=value or next(iter(names), None))
        self.selected.visible = self.open.visible = bool(names)
        self._show_details()

    @property
    def _selected(self) -> DatasetSummary | None:
        return self._datasets.get(self.selected.value or "")

    def _variables(self) -> pd.DataFrame | None:
        dataset = self._selected
        if dataset is None or dataset.variables is None:
            return None
        return dataset.variables.set_index("name")

    def _steps(self) -> pd.DataFrame | None:
        return history_table(self._selected) if self._selected else None

    def _about(self) -> list[str]:
        return ["GSM3: available datasets", *([f"dataset: {self.selected.value}"] if self._selected else [])]

    def _code(self) -> str:
        paths = [str(self._selected.path)] if self._selected else []
        return "\n".join(shlex.join(["gsm3", "data", "describe", path]) for path in paths) or "gsm3 data list"

    def _show_details(self) -> None:
        dataset = self._selected
        self._detail.object = _detail(dataset) if dataset else ""
        self.open.disabled = dataset is None or bool(dataset.problem)

    def _open(self, _: Any) -> None:
        if self.selected.value:
            self._selection.change(page=SITES, dataset=self.selected.value, run=NEWEST, reference="", site="")


def _row(dataset: DatasetSummary) -> str:
    name = f'<td class="text"><b>{escape(dataset.name)}</b></td>'
    if dataset.problem:
        return (
            f'<tr>{name}<td class="text wrap" colspan="7">Cannot be read: {escape(dataset.problem)}</td></tr>'
        )
    simulated = " (simulated)" if dataset.simulated and "simulated" not in dataset.title.lower() else ""
    inputs = len(dataset.of_kind("daily input")), len(dataset.of_kind("site attribute"))
    cells = [
        f'<td class="text wrap">{escape(dataset.title)}{simulated}</td><td>{dataset.sites:,}</td><td>{dataset.networks}</td>',
        f'<td>{dataset.first_day} to {dataset.last_day}</td><td class="wrap">{escape(", ".join(dataset.records))}</td>',
        f"<td>{inputs[0]} daily, {inputs[1]} static</td><td>{dataset.bytes / 1e6:,.1f}</td>",
    ]
    return f"<tr>{name}{''.join(cells)}</tr>"


def _detail(dataset: DatasetSummary) -> str:
    if dataset.problem or dataset.variables is None:
        return f"<p>{escape(dataset.problem)}</p>"
    rows = []
    for kind in _KINDS:
        for row in dataset.variables[dataset.variables["kind"] == kind].astype(str).to_dict("records"):
            rows.append(
                f'<tr><td class="text">{escape(row["name"])}</td><td class="text wrap">{escape(row["what"])}</td>'
                f'<td class="text">{kind}</td><td class="text">{escape(row["units"])}</td>'
                f'<td class="text wrap">{escape(row["source"])}</td><td class="text wrap">{escape(row["license"])}</td></tr>'
            )
    head = ["Variable", "Description", "Kind", "Units", "Source", "License"]
    license_text = escape(dataset.license or "not stated")
    return (
        f"<p><b>{escape(dataset.title or dataset.name)}</b> in {escape(str(dataset.path))}. License: {license_text}.</p>"
        f"<details style='margin:8px 0;font-size:13px'><summary>{len(rows)} variables with source and license</summary>"
        f"{html_table(head, rows, texts=6)}</details>"
        f"{_history(dataset)}"
    )


def _history(dataset: DatasetSummary) -> str:
    if not dataset.history:
        return "<p>No processing history recorded.</p>"
    rows = []
    for k, step in enumerate(dataset.history, start=1):
        rest = {key: value for key, value in step.items() if key not in ("step", "name")}
        details = {
            key.replace("_", " "): _to_text(x) for key, x in rest.items() if x not in ("", [], {}, None)
        }
        text = "; ".join(f"{key}: {value}" for key, value in details.items())
        short = text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]} …"
        name = f"{step.get('step', '')} {step.get('name', '')}".strip()
        rows.append(
            f'<tr><td class="text">{k}</td><td class="text">{escape(name)}</td><td class="text wrap">{escape(short)}</td></tr>'
        )
    table = html_table(["", "Step", "Details"], rows, texts=3)
    steps = f"{len(rows)} step{'s' if len(rows) > 1 else ''}"
    return f"<details open style='margin:8px 0;font-size:13px'><summary>Processing history, {steps}</summary>{table}</details>"


def _to_text(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=str).replace('"', "")
    )
