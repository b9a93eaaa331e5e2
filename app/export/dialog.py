"""Export dialog: figures as PNG and SVG, tables as CSV, results and sites as netCDF, and the Python code of the numbers."""

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

from app.export import tables
from app.export.scripts import site_script
from app.services.metric_labels import metric_name
from app.services.store import Store
from app.session.selection import Selection
from app.ui.theme import colours

# Renders the figure once more for the file, with a title, a background and a legend that the page shows outside the
# figure, and restores it afterwards.
_SAVE_FIGURE = """
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
const style = (text, border, back, visible) => {
  fig.title.text = text
  fig.setv({border_fill_color: border, background_fill_color: back})
  for (const part of parts) part.visible = visible && part.items.length > 0
}
style(caption, ground, ground, true)
setTimeout(async () => {
  const blob = await view.export(kind).to_blob()
  style(before.text, before.border, before.back, false)
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
class ExportItem:
    """Exportable content of one card.

    Parameters
    ----------
    title
        Title of the dialog; also the stem of the file names.
    figures
        Returns the figures by label, when the dialog is opened.
    tables
        Functions that return the tables, by label.
    code, code_title
        Code or command that reproduces the numbers, and the line above it; by default the code of the scores shown.
    results
        Returns the full results for netCDF; ``None`` if there are none yet.
    about
        Returns the header lines of the tables; by default those of the selection.
    """

    title: str
    figures: Callable[[], Mapping[str, figure]] = _no_figures
    tables: Tables
    code: Callable[[], str] | None = None
    code_title: str = "Python code for these numbers:"
    results: Callable[[], xr.Dataset | None] | None = None
    about: Callable[[], list[str]] | None = None


class ExportDialog:
    """Dialog of one page, filled for the card it is opened from."""

    def __init__(self, selection: Selection, store: Store) -> None:
        self._selection = selection
        self._store = store
        self.dialog = pmui.Dialog(
            title="Export", open=False, close_on_click=True, show_close_button=True, width_option="md"
        )

    def heading_row(self, heading: pn.viewable.Viewable, item: ExportItem) -> pn.Row:
        """Return a card's heading with the export button."""
        button = pmui.IconButton(
            icon="download",
            size="small",
            margin=0,
            description=f"Export: {item.title}",
            on_click=partial(self._open, item),
        )
        return pn.Row(heading, button, sizing_mode="stretch_width", margin=0)

    def _open(self, item: ExportItem, _: param.parameterized.Event) -> None:
        if item.about is None and (self._selection.evaluation is None or self._selection.shown is None):
            return
        self.dialog.param.update(objects=self._contents(item), title=f"Export: {item.title}", open=True)

    def _contents(self, item: ExportItem) -> list[pn.viewable.Viewable]:
        name = _file_name(item.title)
        rows = [
            pn.Row(
                pn.pane.HTML(f"<b>{escape(label)}</b>", width=190, margin=(10, 0)),
                *(self._figure_button(item, label, fig, kind) for kind in ("png", "svg")),
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
        if item.results is not None and item.results() is not None:
            downloads.append(
                self._download("All results (netCDF)", f"{name}.nc", partial(self._results, item))
            )
        if self._selection.evaluation is not None and self._selection.shown is not None:
            downloads.append(self._download("Sites shown (netCDF)", "gsm3-sites.nc", self._sites))
        code = pn.pane.HTML(
            f"<p>{escape(item.code_title)}</p><pre>{escape(self.code(item))}</pre>",
            stylesheets=[_CODE], sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        return [*rows, pn.Row(*downloads, margin=(6, 0)), code]

    def code(self, item: ExportItem | None = None) -> str:
        """Return the code that reproduces a card's numbers; by default the scores of the selection."""
        if item is not None and item.code is not None:
            return item.code()
        selection = self._selection
        return site_script(
            self._store,
            selection.evaluation,
            selection.filters,
            selection.product,
            selection.metric,
            selection.min_days,
        )

    def _figure_button(self, item: ExportItem, label: str, fig: figure, kind: str) -> pmui.Button:
        if not fig.js_property_callbacks.get("change:tags"):
            fig.js_on_change("tags", CustomJS(args={"fig": fig}, code=_SAVE_FIGURE))

        def save(event: param.parameterized.Event) -> None:
            # Changed tags trigger the save in the browser; the click count makes every click a change.
            ground = colours(self._selection.dark).surface
            fig.tags = [
                f"gsm3-{_file_name(label)}.{kind}",
                kind,
                self._caption(item, label),
                ground,
                event.new,
            ]

        return pmui.Button(
            label=kind.upper(), description=f"{label} as {kind.upper()}", on_click=save, **_BUTTON
        )

    def _caption(self, item: ExportItem, label: str) -> str:
        """Return the title of an exported figure."""
        name = item.title if len(item.figures()) == 1 else label
        title = name[:1].upper() + name[1:]
        if item.about is not None:
            return f"{title}; GSM3"
        evaluation, shown = self._selection.evaluation, self._selection.shown
        dataset = evaluation.dataset.rsplit(".", 1)[0]
        score = metric_name(self._selection.metric)
        caption = (
            f"{title}, {score}: {dataset}, {shown.words}, against {evaluation.against}{evaluation.conditions}"
        )
        return f"{caption}. SIMULATED, not measured" if evaluation.simulated else caption

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

    def _csv(self, item: ExportItem, make: Callable[[], pd.DataFrame | None]) -> object:
        table = make()
        return tables.csv_file(table if table is not None else pd.DataFrame(), self._about(item))

    def _results(self, item: ExportItem) -> object:
        results = item.results() if item.results is not None else None
        return tables.results_netcdf(results if results is not None else xr.Dataset(), self._about(item))

    def _about(self, item: ExportItem) -> list[str]:
        if item.about is not None:
            return item.about()
        return tables.header_lines(self._selection.evaluation, self._selection.shown, item.title)

    def _sites(self) -> object:
        return tables.sites_netcdf(self._store, self._selection.evaluation, self._selection.shown)


def _file_name(title: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())) or "gsm3"
