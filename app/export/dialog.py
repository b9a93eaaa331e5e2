"""Take away: every plot as PNG and SVG, its numbers as CSV, the answer and the sites as netCDF, and the lines that make them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape

import pandas as pd
import panel as pn
import panel_material_ui as pmui
import param
import xarray as xr
from bokeh.models import CustomJS
from bokeh.plotting import figure

from app.export import tables as taken
from app.export.scripts import python_lines
from app.services.metric_labels import metric_name
from app.services.store import Store
from app.session.selection import Selection
from app.ui.theme import colours

# The figure draws itself once more, into a picture of lines or of dots, with what the page says around it: a title, a
# ground to stand on, and a legend that is otherwise beside it. Then it is as it was.
_DRAW = """
const [name, kind, caption, ground] = fig.tags
const find = v => {
  if (v.model === fig) return v
  for (const c of v.child_views ?? []) { const f = find(c); if (f) return f }
  return null
}
let view = null
for (const root of Bokeh.index.roots) view = view ?? find(root)
if (view == null) return
const parts = fig.below.concat(fig.above).filter(m => m.name === 'for_pictures')
const before = {text: fig.title.text, border: fig.border_fill_color, back: fig.background_fill_color}
const dress = (text, border, back, visible) => {
  fig.title.text = text
  fig.setv({border_fill_color: border, background_fill_color: back})
  for (const part of parts) part.visible = visible && part.items.length > 0
}
dress(caption, ground, ground, true)
setTimeout(async () => {
  const blob = await view.export(kind).to_blob()
  dress(before.text, before.border, before.back, false)
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10000)
}, 250)
"""
_CODE = """
:host { color: var(--panel-on-surface-color); }
pre { font-size: 12px; line-height: 1.5; overflow: auto; padding: 10px 12px; border-radius: 8px; margin: 4px 0 0;
  background: color-mix(in srgb, currentColor 7%, transparent); user-select: all; max-height: 260px; }
p { margin: 10px 0 0; font-size: 13px; }
"""
_BUTTON = {"variant": "outlined", "size": "small", "margin": (4, 8, 4, 0)}
Tables = Mapping[str, Callable[[], pd.DataFrame | None]]


def _no_figures() -> Mapping[str, figure]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Item:
    """What one card has to take away.

    Parameters
    ----------
    title
        Of the dialog, and the name of the files.
    figures
        Plots by what they are called, as they are when the dialog is opened.
    tables
        Makes its numbers, by what they are called.
    code
        Lines that make the same numbers without the page, and what they are called; by default those of the scores
        that are shown.
    answer
        Everything that was worked out, for netCDF; None where there is nothing yet.
    about
        Lines at the head of the tables; by default the selection's.
    """

    title: str
    figures: Callable[[], Mapping[str, figure]] = _no_figures
    tables: Tables
    code: Callable[[], str] | None = None
    code_title: str = "The same numbers in Python, without this page:"
    answer: Callable[[], xr.Dataset | None] | None = None
    about: Callable[[], list[str]] | None = None


class ExportDialog:
    """One dialog a page, filled for the card that it is opened from.

    Parameters
    ----------
    selection, store
        Of the visitor.
    """

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self.dialog = pmui.Dialog(
            title="Take away", open=False, close_on_click=True, show_close_button=True, width_option="md"
        )

    def beside(self, heading: pn.viewable.Viewable, item: Item) -> pn.Row:
        """Return a card's heading with the button that opens the dialog."""
        button = pmui.IconButton(
            icon="download",
            size="small",
            margin=0,
            description=f"Take away: {item.title}",
            on_click=partial(self._open, item),
        )
        return pn.Row(heading, button, sizing_mode="stretch_width", margin=0)

    def _open(self, item: Item, _: param.parameterized.Event) -> None:
        if item.about is None and (self._selection.evaluation is None or self._selection.shown is None):
            return
        self.dialog.param.update(objects=self._contents(item), title=f"Take away: {item.title}", open=True)

    def _contents(self, item: Item) -> list[pn.viewable.Viewable]:
        name = _file_name(item.title)
        rows = [
            pn.Row(
                pn.pane.HTML(f"<b>{escape(label)}</b>", width=190, margin=(10, 0)),
                *(self._picture(item, label, fig, kind) for kind in ("png", "svg")),
                margin=0,
            )
            for label, fig in item.figures().items()
        ]
        several = len(item.tables) > 1
        downloads = [
            self._download(
                f"{label} (CSV)",
                f"{name}-{_file_name(label)}.csv" if several else f"{name}.csv",
                partial(self._csv, item, make),
            )
            for label, make in item.tables.items()
        ]
        if item.answer is not None and item.answer() is not None:
            downloads.append(self._download("All of it (netCDF)", f"{name}.nc", partial(self._answer, item)))
        if self._selection.evaluation is not None and self._selection.shown is not None:
            downloads.append(self._download("Sites shown (netCDF)", "gsm3-sites.nc", self._netcdf))
        code = pn.pane.HTML(
            f"<p>{escape(item.code_title)}</p><pre>{escape(self.code(item))}</pre>",
            stylesheets=[_CODE], sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        return [*rows, pn.Row(*downloads, margin=(6, 0)), code]

    def code(self, item: Item | None = None) -> str:
        """Return the lines that make the numbers of a card: by default the scores of what is selected."""
        if item is not None and item.code is not None:
            return item.code()
        selection = self._selection
        return python_lines(
            self._store,
            selection.evaluation,
            selection.filters,
            selection.product,
            selection.metric,
            selection.min_days,
        )

    def _picture(self, item: Item, label: str, fig: figure, kind: str) -> pmui.Button:
        if not fig.js_property_callbacks.get("change:tags"):
            fig.js_on_change("tags", CustomJS(args={"fig": fig}, code=_DRAW))

        def draw(event: param.parameterized.Event) -> None:
            # Any change of its tags lets the figure draw itself in the browser; the count makes it one every time.
            ground = colours(self._selection.dark).surface
            fig.tags = [
                f"gsm3-{_file_name(label)}.{kind}",
                kind,
                self._caption(item, label),
                ground,
                event.new,
            ]

        return pmui.Button(
            label=kind.upper(), description=f"{label} as {kind.upper()}", on_click=draw, **_BUTTON
        )

    def _caption(self, item: Item, label: str) -> str:
        """What a picture says of itself once it is away from the page."""
        what = item.title if len(item.figures()) == 1 else label
        what = what[:1].upper() + what[1:]
        if item.about is not None:
            return f"{what}; GSM3"
        evaluation, shown = self._selection.evaluation, self._selection.shown
        name = evaluation.dataset.rsplit(".", 1)[0]
        score = metric_name(self._selection.metric)
        said = f"{what}, {score}: {name}, {shown.words}, against {evaluation.against}"
        return f"{said}. SIMULATED, not measured" if evaluation.simulated else said

    def _download(self, label: str, name: str, make: Callable[[], object]) -> pmui.FileDownload:
        return pmui.FileDownload(
            label=label,
            filename=name,
            callback=make,
            auto=True,
            embed=False,
            size="small",
            margin=(4, 8, 4, 0),
        )

    def _csv(self, item: Item, make: Callable[[], pd.DataFrame | None]) -> object:
        table = make()
        return taken.csv(table if table is not None else pd.DataFrame(), self._about(item))

    def _answer(self, item: Item) -> object:
        found = item.answer() if item.answer is not None else None
        return taken.answer(found if found is not None else xr.Dataset(), self._about(item))

    def _about(self, item: Item) -> list[str]:
        if item.about is not None:
            return item.about()
        return taken.about(self._selection.evaluation, self._selection.shown, item.title)

    def _netcdf(self) -> object:
        return taken.netcdf(self._store, self._selection.evaluation, self._selection.shown)


def _file_name(title: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())) or "gsm3"
