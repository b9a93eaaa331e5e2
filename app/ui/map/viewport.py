"""Viewport of a map, updated in the browser: fit to the sites, equal axis scales, point size by zoom."""

from __future__ import annotations

import pandas as pd
from bokeh.models import ColumnDataSource, CustomJS
from bokeh.plotting import figure

_SMALLEST_EXTENT = 600_000.0  # metres; a single site is shown with its surroundings

# Equal scales on both axes, whatever the shape of the pane; a resize keeps the view.
_FIT = """
// Before the first layout these are unset, and reading them throws.
if (fig.properties.inner_width.is_unset || fig.properties.inner_height.is_unset) return
const w = fig.inner_width, h = fig.inner_height
if (!(w > 0 && h > 0)) return
const {x: [x0, x1], y: [y0, y1]} = extent.data
let cx = (x0 + x1) / 2, cy = (y0 + y1) / 2, scale = Math.max((x1 - x0) / w, (y1 - y0) / h)
const before = extent.tags[0]
if (cb_obj !== extent && before != null && before.w > 0) {
  cx = (fig.x_range.start + fig.x_range.end) / 2
  cy = (fig.y_range.start + fig.y_range.end) / 2
  scale = (fig.x_range.end - fig.x_range.start) / before.w
  if (before.untouched) scale = Math.max((x1 - x0) / w, (y1 - y0) / h)
}
const xr = {start: cx - scale * w / 2, end: cx + scale * w / 2}
const yr = {start: cy - scale * h / 2, end: cy + scale * h / 2}
extent.tags = [{w, untouched: cb_obj === extent || before == null || before.untouched}]
fig.x_range.setv({...xr, reset_start: xr.start, reset_end: xr.end})
fig.y_range.setv({...yr, reset_start: yr.start, reset_end: yr.end})
"""

# Points grow with the zoom: small on a world map, large enough to click on a regional one.
_GROW = """
if (fig.properties.inner_width.is_unset) return
const metres_per_pixel = (fig.x_range.end - fig.x_range.start) / fig.inner_width
if (!(metres_per_pixel > 0)) return
const factor = Math.min(1.7, Math.max(0.55, Math.pow(14000 / metres_per_pixel, 0.35)))
const size = extent.data.size[0] * factor
for (const glyph of glyphs) {
  if (Math.abs(glyph.size.value - size) > 0.3) glyph.size = {value: size}
}
"""


def frame_sites(fig: figure, glyphs: list[object]) -> ColumnDataSource:
    """Fit a map to an extent and size its points; return the extent's data source, see :func:`extent`.

    Parameters
    ----------
    fig
        Figure with web-Mercator axes and its own ranges.
    glyphs
        Point glyphs whose size follows the zoom.
    """
    source = ColumnDataSource(data=extent(pd.DataFrame({"x": [], "y": []})))
    fit = CustomJS(args={"fig": fig, "extent": source}, code=_FIT)
    source.js_on_change("data", fit)
    fig.js_on_change("inner_width", fit)
    fig.js_on_change("inner_height", fit)
    grow = CustomJS(args={"fig": fig, "extent": source, "glyphs": glyphs}, code=_GROW)
    fig.x_range.js_on_change("end", grow)
    source.js_on_change("data", grow)
    return source


def extent(sites: pd.DataFrame) -> dict[str, list[float]]:
    """Return the extent of sites (``x``, ``y`` in web-Mercator metres) with a margin, and the point size."""
    box = {"x": [-1.4e7, 1.8e7], "y": [-5.5e6, 1.1e7], "size": [_point_size(len(sites))] * 2}
    for axis in ("x", "y") if len(sites) else ():
        low, high = float(sites[axis].min()), float(sites[axis].max())
        margin = max(0.08 * (high - low), (_SMALLEST_EXTENT - (high - low)) / 2)
        box[axis] = [low - margin, high + margin]
    return box


def _point_size(count: int) -> float:
    return 11.0 if count <= 150 else 8.0 if count <= 500 else 6.0
