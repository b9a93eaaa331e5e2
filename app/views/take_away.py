"""Take away: every plot as PNG and SVG, its numbers as CSV, the sites as netCDF, and the lines that make them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from html import escape

import pandas as pd
import panel as pn
import panel_material_ui as pmui
import param
from bokeh.models import CustomJS
from bokeh.plotting import figure

from app import taken
from app.snippet import python_lines
from app.state import Selection
from app.store import Store

# The figure draws itself once more, into a picture of lines or of dots.
_DRAW = """
const [name, kind] = fig.tags
const find = v => {
  if (v.model === fig) return v
  for (const c of v.child_views ?? []) { const f = find(c); if (f) return f }
  return null
}
let view = null
for (const root of Bokeh.index.roots) view = view ?? find(root)
if (view) view.export(kind).to_blob().then(blob => {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10000)
})
"""
_CODE = """
:host { color: var(--panel-on-surface-color); }
pre { font-size: 12px; line-height: 1.5; overflow: auto; padding: 10px 12px; border-radius: 8px; margin: 4px 0 0;
  background: color-mix(in srgb, currentColor 7%, transparent); user-select: all; max-height: 260px; }
p { margin: 10px 0 0; font-size: 13px; }
"""
_BUTTON = {"variant": "outlined", "size": "small", "margin": (4, 8, 4, 0)}


@dataclass(frozen=True, kw_only=True)
class Item:
    """What one card has to take away.

    Parameters
    ----------
    title
        Of the dialog, and the name of the files.
    figures
        Plots by what they are called.
    table
        Makes its numbers.
    """

    title: str
    figures: Mapping[str, figure] = field(default_factory=dict)
    table: Callable[[], pd.DataFrame | None]


class TakeAway:
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
        for fig in item.figures.values():
            fig.js_on_change("tags", CustomJS(args={"fig": fig}, code=_DRAW))
        button = pmui.IconButton(
            icon="download",
            size="small",
            margin=0,
            description=f"Take away: {item.title}",
            on_click=partial(self._open, item),
        )
        return pn.Row(heading, button, sizing_mode="stretch_width", margin=0)

    def _open(self, item: Item, _: param.parameterized.Event) -> None:
        if self._selection.evaluation is None or self._selection.shown is None:
            return
        self.dialog.param.update(objects=self._contents(item), title=f"Take away: {item.title}", open=True)

    def _contents(self, item: Item) -> list[pn.viewable.Viewable]:
        name = _file_name(item.title)
        rows = [
            pn.Row(
                pn.pane.HTML(f"<b>{escape(label)}</b>", width=170, margin=(10, 0)),
                *(self._picture(fig, f"{_file_name(label)}.{kind}", kind) for kind in ("png", "svg")),
                margin=0,
            )
            for label, fig in item.figures.items()
        ]
        downloads = pn.Row(
            self._download("Numbers (CSV)", f"{name}.csv", lambda: self._csv(item)),
            self._download("Sites shown (netCDF)", "gsm3-sites.nc", self._netcdf),
            margin=(6, 0),
        )
        code = pn.pane.HTML(
            "<p>The same scores in Python, without this page:</p>"
            f"<pre>{escape(self.code())}</pre>",
            stylesheets=[_CODE], sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        return [*rows, downloads, code]

    def code(self) -> str:
        """Return the lines of Python for what is selected."""
        selection = self._selection
        return python_lines(
            self._store,
            selection.evaluation,
            selection.filters,
            selection.product,
            selection.metric,
            selection.min_days,
        )

    def _picture(self, fig: figure, name: str, kind: str) -> pmui.Button:
        def draw(event: param.parameterized.Event) -> None:
            # Any change of its tags lets the figure draw itself in the browser; the count makes it one every time.
            fig.tags = [f"gsm3-{name}", kind, event.new]

        return pmui.Button(label=kind.upper(), on_click=draw, **_BUTTON)

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

    def _csv(self, item: Item) -> object:
        table = item.table()
        head = taken.about(self._selection.evaluation, self._selection.shown, item.title)
        return taken.csv(table if table is not None else pd.DataFrame(), head)

    def _netcdf(self) -> object:
        return taken.netcdf(self._store, self._selection.evaluation, self._selection.shown)


def _file_name(title: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())) or "gsm3"
