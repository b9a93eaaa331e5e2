"""The datasets that are here: what each holds, and what made it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd
import panel as pn
import panel_material_ui as pmui

from app.export.dialog import ExportDialog, Item
from app.services.dataset_inventory import DatasetSummary, datasets_table, history_table
from app.session.selection import NEWEST, SITES, Selection
from app.ui.card import card, heading
from app.ui.formatting import TABLE, html_table

_KINDS = ("soil moisture", "daily input", "site attribute")
_SHOWN = 1500  # characters of a step


class Datasets:
    """A table of the datasets, and one of them in full.

    Parameters
    ----------
    selection
        Of the visitor; a button shows a dataset on the Sites page.
    take
        Lets a visitor take the tables away.
    chosen
        Called with the name of the dataset that is looked at.
    """

    def __init__(
        self, selection: Selection, take: ExportDialog, chosen: Callable[[str], None] = lambda _: None
    ) -> None:
        self._selection = selection
        self._holdings: dict[str, DatasetSummary] = {}
        self._chosen = chosen
        self._table = pn.pane.HTML(
            stylesheets=[TABLE], margin=0, sizing_mode="stretch_width", css_classes=["datasets"]
        )
        self.which = pmui.Select(label="Look at", options={}, size="small", width=280, margin=(10, 12, 4, 0))
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
        title = heading(
            "Datasets here", "What the pages of this dashboard can show, and experiments can learn from."
        )
        item = Item(
            title="datasets here",
            tables={
                "Datasets": lambda: datasets_table(list(self._holdings.values())),
                "Variables of the one looked at": self._variables,
                "How it was made": self._steps,
            },
            code=self._code,
            code_title="The same in a terminal:",
            about=self._about,
        )
        self.card = card(
            take.beside(pn.pane.HTML(title, margin=0, sizing_mode="stretch_width"), item),
            self._table,
            pn.Row(self.which, self.open, margin=0),
            self._detail,
        )
        self.which.param.watch(lambda _: self._show_one(), "value")

    def show(self, holdings: list[DatasetSummary], wanted: str = "") -> None:
        """List the datasets; look at ``wanted``, or go on looking at the same one."""
        self._holdings = {h.name: h for h in holdings}
        names = {h.name: h.name for h in holdings}
        head = ["Dataset", "Title", "Sites", "Networks", "Days", "Records", "Inputs", "MB"]
        rows = [_row(h) for h in holdings]
        empty = (
            "<p>There is no dataset here yet. Build one with <code>gsm3 data build</code>, or start again with an empty data "
            "folder to get the simulated demonstration.</p>"
        )
        self._table.object = html_table(head, rows, texts=2) if rows else empty
        value = next((n for n in (wanted, self.which.value, self._selection.dataset) if n in names), None)
        self.which.param.update(options=names, value=value or next(iter(names), None))
        self.which.visible = self.open.visible = bool(names)
        self._show_one()

    @property
    def _looked_at(self) -> DatasetSummary | None:
        return self._holdings.get(self.which.value or "")

    def _variables(self) -> pd.DataFrame | None:
        holding = self._looked_at
        if holding is None or holding.variables is None:
            return None
        return holding.variables.set_index("name")

    def _steps(self) -> pd.DataFrame | None:
        return history_table(self._looked_at) if self._looked_at else None

    def _about(self) -> list[str]:
        return ["GSM3: datasets here", *([f"looked at: {self.which.value}"] if self._looked_at else [])]

    def _code(self) -> str:
        paths = [str(self._looked_at.path)] if self._looked_at else []
        return "\n".join(shlex.join(["gsm3", "data", "describe", path]) for path in paths) or "gsm3 data list"

    def _show_one(self) -> None:
        holding = self._looked_at
        self._detail.object = _detail(holding) if holding else ""
        self.open.disabled = holding is None or bool(holding.problem)
        if holding is not None:
            self._chosen(holding.name)

    def _open(self, _: Any) -> None:
        if self.which.value:
            self._selection.change(page=SITES, dataset=self.which.value, run=NEWEST, reference="", site="")


def _row(h: DatasetSummary) -> str:
    name = f'<td class="text"><b>{escape(h.name)}</b></td>'
    if h.problem:
        return f'<tr>{name}<td class="text wrap" colspan="7">Cannot be read: {escape(h.problem)}</td></tr>'
    simulated = " (simulated)" if h.simulated and "simulated" not in h.title.lower() else ""
    inputs = len(h.of_kind("daily input")), len(h.of_kind("site attribute"))
    cells = [
        f'<td class="text wrap">{escape(h.title)}{simulated}</td><td>{h.sites:,}</td><td>{h.networks}</td>',
        f'<td>{h.first_day} to {h.last_day}</td><td class="wrap">{escape(", ".join(h.records))}</td>',
        f"<td>{inputs[0]} daily, {inputs[1]} fixed</td><td>{h.bytes / 1e6:,.1f}</td>",
    ]
    return f"<tr>{name}{''.join(cells)}</tr>"


def _detail(h: DatasetSummary) -> str:
    if h.problem or h.variables is None:
        return f"<p>{escape(h.problem)}</p>"
    rows = []
    for kind in _KINDS:
        for row in h.variables[h.variables["kind"] == kind].astype(str).to_dict("records"):
            rows.append(
                f'<tr><td class="text">{escape(row["name"])}</td><td class="text wrap">{escape(row["what"])}</td>'
                f'<td class="text">{kind}</td><td class="text">{escape(row["units"])}</td>'
                f'<td class="text wrap">{escape(row["source"])}</td><td class="text wrap">{escape(row["license"])}</td></tr>'
            )
    head = ["Variable", "What it is", "Kind", "Units", "From", "Terms"]
    return (
        f"<p><b>{escape(h.title or h.name)}</b> in {escape(str(h.path))}. Terms: {escape(h.license or 'not stated')}.</p>"
        f"<details style='margin:8px 0;font-size:13px'><summary>{len(rows)} variables, with source and terms</summary>"
        f"{html_table(head, rows, texts=6)}</details>"
        f"{_history(h)}"
    )


def _history(h: DatasetSummary) -> str:
    if not h.history:
        return "<p>The dataset does not say how it was made.</p>"
    rows = []
    for k, step in enumerate(h.history, start=1):
        rest = {key: value for key, value in step.items() if key not in ("step", "name")}
        told = {key.replace("_", " "): _plain(x) for key, x in rest.items() if x not in ("", [], {}, None)}
        words = "; ".join(f"{key}: {text}" for key, text in told.items())
        short = words if len(words) <= _SHOWN else f"{words[:_SHOWN]} …"
        name = f"{step.get('step', '')} {step.get('name', '')}".strip()
        rows.append(
            f'<tr><td class="text">{k}</td><td class="text">{escape(name)}</td><td class="text wrap">{escape(short)}</td></tr>'
        )
    table = html_table(["", "Step", "What was done"], rows, texts=3)
    steps = f"{len(rows)} step{'s' if len(rows) > 1 else ''}"
    return f"<details open style='margin:8px 0;font-size:13px'><summary>How it was made, {steps}</summary>{table}</details>"


def _plain(value: Any) -> str:
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, default=str).replace('"', "")
    )
