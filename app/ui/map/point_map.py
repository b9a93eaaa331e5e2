"""Map of sites coloured by a value with a colour bar, or by class with a legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
import pandas as pd
import panel as pn
import param
from bokeh.events import Event, Tap
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Legend,
    LegendItem,
    LinearColorMapper,
    Range1d,
)
from bokeh.plotting import figure

from app.session.selection import Selection
from app.ui.map.basemap import Basemap
from app.ui.map.viewport import extent, frame_sites
from app.ui.theme import colours, style_figure
from gsm3core import vocabulary as v

MAP_CARD = {"min-width": "0", "height": "auto", "align-self": "stretch", "flex": "3 1 480px"}
_CLICK_REACH = 0.02  # of the width of the map
_NO_COLOUR = "#00000000"
_HOVER = """
<div style="font-size:13px;line-height:1.45;max-width:280px"><b>@station</b><br>@network &middot; @region<br>@label</div>
"""
_LEGEND = """
:host { color: var(--panel-on-surface-color); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 12.5px; line-height: 1.4; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 6px; }
.legend i.hollow { background: none; box-shadow: inset 0 0 0 1.5px currentColor; opacity: .6; }
"""
_COLUMNS = ("x", "y", "colour", "label", "group", v.STATION, v.NETWORK, v.REGION)


class PointMap:
    """Map of sites with a colour and a hover label each.

    Parameters
    ----------
    selection
        Gives the theme; a click on a site selects it.
    name
        Name of the point renderer; with ``_map``, of the figure.
    height
        Minimum height in pixels.
    """

    def __init__(self, selection: Selection, name: str, *, height: int = 380) -> None:
        self._selection = selection
        self._name = name
        self._height = height
        self._source = ColumnDataSource(data=_columns(_empty_table()))
        self._hollow_source = ColumnDataSource(data=_columns(_empty_table()))
        self._mapper = LinearColorMapper(palette=["#888888"], low=0, high=1)
        self._ticker = FixedTicker(ticks=[])
        self._bar = ColorBar(
            color_mapper=self._mapper,
            ticker=self._ticker,
            width=10,
            margin=0,
            padding=8,
            bar_line_color=None,
            visible=False,
        )
        self._sites = pd.DataFrame({"x": [], "y": []})
        self.figure = self._draw()
        self.legend = pn.pane.HTML(
            "", stylesheets=[_LEGEND], sizing_mode="stretch_width", margin=(0, 0, 6, 0)
        )
        self.pane = pn.pane.Bokeh(self.figure, sizing_mode="stretch_both", min_height=height, margin=0)
        selection.param.watch(self._restyle, "theme")

    def _draw(self) -> figure:
        fig = figure(
            x_range=Range1d(-1.4e7, 1.8e7),
            y_range=Range1d(-5.5e6, 1.1e7),
            x_axis_location=None,
            y_axis_location=None,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            active_scroll="wheel_zoom",
            sizing_mode="stretch_both",
            min_height=self._height,
            min_border=0,
            name=f"{self._name}_map",
            lod_threshold=None,
        )
        style_figure(fig)
        fig.grid.visible = False
        c = colours(self._selection.dark)
        self._basemap = Basemap(fig, c)
        self._hollow = fig.scatter(
            "x",
            "y",
            source=self._hollow_source,
            size=7,
            fill_alpha=0,
            line_width=1.2,
            line_alpha=0.6,
            line_color=c.hollow,
        )
        self._points = fig.scatter(
            "x",
            "y",
            source=self._source,
            size=7,
            line_width=0.5,
            line_color=_edge(self._selection),
            fill_color="colour",
            name=self._name,
        )
        for renderer in (self._hollow, self._points):
            renderer.nonselection_glyph = None
        fig.add_tools(
            HoverTool(renderers=[self._points, self._hollow], tooltips=_HOVER, limit=1, visible=False)
        )
        fig.add_layout(self._bar, "right")
        # The page shows an HTML legend above the map; exported figures have this one.
        self._export_legend = Legend(name="for_pictures", visible=False, ncols=3, border_line_color=None)
        fig.add_layout(self._export_legend, "below")
        self._extent = frame_sites(fig, [self._points.glyph, self._hollow.glyph])
        fig.on_event(Tap, self._click)
        return fig

    def colour_by_value(
        self,
        sites: pd.DataFrame,
        values: np.ndarray,
        labels: Sequence[str],
        *,
        palette: Sequence[str],
        low: float,
        high: float,
        ticks: Sequence[float] = (),
    ) -> None:
        """Colour sites by a value; sites without one are hollow.

        Parameters
        ----------
        sites
            Indexed by site id, with Mercator ``x`` and ``y``, station, network and region.
        values, labels
            One per site.
        palette, low, high, ticks
            Colour bar; values beyond its limits take the end colour.
        """
        span = max(high - low, 1e-12)
        index = np.clip((np.nan_to_num(values) - low) / span * len(palette), 0, len(palette) - 1).astype(int)
        colour = np.where(np.isfinite(values), np.asarray(palette, object)[index], _NO_COLOUR)
        self._mapper.update(palette=list(palette), low=low, high=high)
        self._ticker.ticks = (
            list(ticks) if len(ticks) else [float(f"{t:.3g}") for t in np.linspace(low, high, 5)]
        )
        self._bar.visible = True
        self.legend.object = ""
        self._export_legend.items = []
        self._show(sites, list(colour), labels, [""] * len(sites))

    def colour_by_class(
        self,
        sites: pd.DataFrame,
        classes: Sequence[str],
        labels: Sequence[str],
        palette: dict[str, str],
        *,
        hollow: str = "",
    ) -> None:
        """Colour sites by class, with the number of sites in the legend.

        Parameters
        ----------
        sites, labels
            As for :meth:`colour_by_value`.
        classes
            Class of each site; sites of other classes than in ``palette`` are hollow.
        palette
            Class -> colour, in the order of the legend.
        hollow
            Legend label of the hollow sites.
        """
        self._bar.visible = False
        self.legend.object = _legend(classes, palette, hollow)
        coloured = [LegendItem(label={"field": "group"}, renderers=[self._points])]
        self._export_legend.items = (
            [*coloured, LegendItem(label=hollow, renderers=[self._hollow])] if hollow else coloured
        )
        self._show(sites, [palette.get(c, _NO_COLOUR) for c in classes], labels, classes)

    def on_click(self, handle: Callable[[float, float], None]) -> None:
        """Also call ``handle`` with web-Mercator metres when the map is clicked."""
        self.figure.on_event(Tap, lambda event: handle(event.x, event.y) if event.x is not None else None)

    def _show(
        self, sites: pd.DataFrame, colour: list[str], labels: Sequence[str], groups: Sequence[str]
    ) -> None:
        table = sites.assign(colour=colour, label=list(labels), group=list(groups))
        filled = (table["colour"] != _NO_COLOUR).to_numpy()
        self._source.data = _columns(table[filled])
        self._hollow_source.data = _columns(table[~filled])
        if not table[["x", "y"]].equals(self._sites[["x", "y"]]):
            self._extent.data = extent(table)
        self._sites = table

    def _click(self, event: Event) -> None:
        if event.x is None or self._sites.empty:
            return
        within = _CLICK_REACH * (self.figure.x_range.end - self.figure.x_range.start)
        distance = np.hypot(self._sites["x"].to_numpy() - event.x, self._sites["y"].to_numpy() - event.y)
        nearest = int(distance.argmin())
        if distance[nearest] <= within:
            self._selection.choose_site(str(self._sites.index[nearest]))

    def _restyle(self, *_: param.parameterized.Event) -> None:
        c = colours(self._selection.dark)
        self._basemap.restyle(c)
        self._points.glyph.line_color = _edge(self._selection)
        self._hollow.glyph.line_color = c.hollow


def _edge(selection: Selection) -> str:
    """Return the edge colour; light on the dark theme, where the dark ends of palettes would not be visible."""
    c = colours(selection.dark)
    return c.muted if selection.dark else c.outline


def _empty_table() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in _COLUMNS}).rename_axis(v.SITE)


def _columns(table: pd.DataFrame) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {v.SITE: [str(s) for s in table.index]}
    for name in _COLUMNS:
        dtype = float if name in ("x", "y") else str
        columns[name] = [dtype(x) for x in table[name]]
    return columns


def _legend(classes: Sequence[str], palette: dict[str, str], hollow: str) -> str:
    counts = pd.Series(list(classes), dtype=object).value_counts()
    parts = [
        f'<span><i style="background:{colour}"></i>{escape(name)} ({int(counts.get(name, 0))})</span>'
        for name, colour in palette.items()
    ]
    others = int(sum(n for name, n in counts.items() if name not in palette))
    if hollow and others:
        parts.append(f'<span><i class="hollow"></i>{escape(hollow)} ({others})</span>')
    return f'<div class="legend">{"".join(parts)}</div>'
