"""Maps and boxplots of site scores as inline SVG in the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
import warnings
from threading import Lock
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pyproj import Proj

from gsm3core import vocabulary as v
from gsm3core.files import texts
from gsm3core.geography import coastlines
from gsm3core.report.published import METRICS

Array = NDArray[np.float64]

# Placeholder colours; in the SVG each becomes a variable of the page's style sheet.
_INK, _MUTED, _COAST, _FILL = "#010203", "#010204", "#010205", "#010206"
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _COAST: "--coast", _FILL: "--accent"}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9.5, "text.color": _INK,
    "axes.linewidth": 0.7, "axes.labelcolor": _INK, "axes.edgecolor": _MUTED, "axes.facecolor": "none",
    "axes.spines.top": False, "axes.spines.right": False,
    "xtick.color": _MUTED, "ytick.color": _MUTED, "xtick.labelcolor": _INK, "ytick.labelcolor": _INK,
    "figure.facecolor": "none", "savefig.facecolor": "none",
}  # fmt: skip
_LEVELS = {
    "R": ("viridis", np.linspace(0, 1, 11)),
    "RMSE": ("YlOrBr", np.linspace(0, 0.15, 11)),
    "ubRMSE": ("YlOrBr", np.linspace(0, 0.1, 11)),
    # Brown: too dry; blue-green: too wet.
    "bias": ("BrBG", np.linspace(-0.1, 0.1, 11)),
}
# matplotlib's settings are global: a server draws one figure at a time.
_DRAWING = Lock()
# Groups of up to this many sites are drawn as points instead of a box.
_MAX_POINTS = 8


def label(metric: str) -> str:
    """Return the name and units of a metric."""
    return metric if metric == "R" else f"{metric} (m³ m⁻³)"


def site_map(scores: xr.Dataset, metric: str) -> str:
    """Return a map of one score in the Equal Earth projection, over the extent of the sites.

    Parameters
    ----------
    scores
        ``(site)``, with coordinates ``lat`` and ``lon``.
    metric
        R, RMSE, ubRMSE or bias.

    Notes
    -----
    Equal Earth: Šavrič, Patterson and Jenny (2019), doi:10.1080/13658816.2018.1504949.
    """
    lon, lat = (np.asarray(scores[n].values, float) for n in (v.LON, v.LAT))
    values = np.asarray(scores[metric].values, float)
    west, east, south, north = _extent(lon, lat)
    whole = east - west > 180
    project = Proj(proj="eqearth", lon_0=0 if whole else (west + east) / 2)
    x, y = project(lon, lat)
    edge_x, edge_y = _frame(project, west, east, south, north)
    width, height = np.ptp(edge_x), np.ptp(edge_y)
    with _DRAWING, mpl.rc_context(_STYLE | {"svg.hashsalt": f"map {metric}"}):
        fig = Figure(figsize=(9, float(np.clip(7.6 * height / width, 3.2, 6.5))), layout="constrained")
        ax = fig.subplots()
        for layer, line_width in (("coast", 0.6), ("borders", 0.35)):
            ax.plot(
                *_outline(project, layer, west, east, south, north), color=_COAST, lw=line_width, zorder=1
            )
        size = float(np.clip(9000 / max(len(values), 1), 10, 42))
        known = np.isfinite(values)
        ax.scatter(x[~known], y[~known], s=size * 0.7, facecolors="none", edgecolors=_MUTED, lw=0.6, zorder=2)
        name, levels = _LEVELS[metric]
        extend: Literal["min", "both", "max"] = (
            "min" if metric == "R" else "both" if metric == "bias" else "max"
        )
        colours = mpl.colormaps[name]
        norm = BoundaryNorm(levels, colours.N, extend=extend)
        points = ax.scatter(
            x[known],
            y[known],
            c=values[known],
            s=size,
            cmap=colours,
            norm=norm,
            edgecolors=_INK,
            lw=0.35,
            zorder=3,
        )
        ax.set(
            xlim=(edge_x.min(), edge_x.max()),
            ylim=(edge_y.min(), edge_y.max()),
            aspect="equal",
            xticks=[],
            yticks=[],
        )
        ax.spines[:].set_visible(False)
        bar = fig.colorbar(points, ax=ax, shrink=0.85, aspect=24, pad=0.015, ticks=levels[::2])
        bar.set_label(label(metric))
        bar.outline.set_visible(False)
        without = f", {int((~known).sum())} without a score (hollow)" if (~known).any() else ""
        return _svg(fig, f"Map of {metric} at {int(known.sum())} sites{without}")


def boxes_by_region(scores: xr.Dataset) -> str:
    """Return boxplots of the four scores, one row per region.

    Parameters
    ----------
    scores
        ``(site)``, with the coordinate ``region``.
    """
    region = texts(scores[v.REGION].values)
    names = [r for r in (*v.REGIONS, v.NO_REGION) if (region == r).any()]
    groups = {
        m: {r.replace("_", " "): scores[m].values[region == r] for r in names}
        | {"All sites": scores[m].values}
        for m in METRICS
    }
    return _boxes(groups, "by region")


def boxes_by_product(scores: xr.Dataset) -> str:
    """Return boxplots of the four scores ``(product, site)`` over all sites, one row per product."""
    names = [str(p) for p in scores[v.PRODUCT].values]
    groups = {m: {p: scores[m].sel({v.PRODUCT: p}).values for p in names} for m in METRICS}
    return _boxes(groups, "by product")


def _boxes(groups: dict[str, dict[str, Array]], by: str) -> str:
    rows = list(groups[METRICS[0]])
    with _DRAWING, mpl.rc_context(_STYLE | {"svg.hashsalt": f"boxes {by}"}):
        fig = Figure(figsize=(9, 1.1 + 0.3 * len(rows) * 2), layout="constrained")
        axes = fig.subplots(2, 2, sharey=True).ravel()
        for ax, metric in zip(axes, METRICS, strict=True):
            _panel(ax, [g[np.isfinite(g)] for g in groups[metric].values()])
            ax.set_yticks(range(len(rows)), rows)
            ax.invert_yaxis() if metric == METRICS[0] else None
            ax.set_xlabel(label(metric))
            if metric == "bias":
                ax.axvline(0, color=_MUTED, lw=0.7, ls="--", zorder=0)
        return _svg(fig, f"Boxplots of {', '.join(METRICS)} {by}")


def _panel(ax: Axes, groups: list[Array]) -> None:
    for row, values in enumerate(groups):
        if len(values) > _MAX_POINTS:
            ax.boxplot(
                values, positions=[row], orientation="horizontal", widths=0.6, whis=(5, 95), showfliers=False,
                patch_artist=True, boxprops={"facecolor": _FILL, "edgecolor": _MUTED, "linewidth": 0.7},
                medianprops={"color": _INK, "linewidth": 1.8}, whiskerprops={"color": _MUTED}, capprops={"color": _MUTED},
            )  # fmt: skip
        else:
            ax.scatter(values, np.full(len(values), row), s=14, color=_FILL, edgecolors=_INK, lw=0.4)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.grid(axis="x", color=_COAST, lw=0.4)
    ax.set_axisbelow(True)


def _extent(lon: Array, lat: Array) -> tuple[float, float, float, float]:
    """Return west, east, south and north of a map of the sites, at least 12 by 8 degrees."""
    bounds = []
    for values, min_width, limits in ((lon, 12.0, (-180.0, 180.0)), (lat, 8.0, (-60.0, 84.0))):
        low, high = float(np.min(values)), float(np.max(values))
        margin = max(0.06 * (high - low), (min_width - (high - low)) / 2, 1.0)
        bounds += [max(low - margin, limits[0]), min(high + margin, limits[1])]
    if bounds[1] - bounds[0] > 180:
        bounds[:2] = [-180.0, 180.0]
    return bounds[0], bounds[1], bounds[2], bounds[3]


def _frame(project: Proj, west: float, east: float, south: float, north: float) -> tuple[Array, Array]:
    along = np.linspace(0, 1, 25)
    lon = np.concatenate([west + (east - west) * along, np.full(25, east), np.full(25, west)])
    lat = np.concatenate(
        [np.full(25, south), south + (north - south) * along, south + (north - south) * along]
    )
    lon, lat = np.append(lon, west + (east - west) * along), np.append(lat, np.full(25, north))
    x, y = project(lon, lat)
    return np.asarray(x), np.asarray(y)


def _outline(
    project: Proj, layer: str, west: float, east: float, south: float, north: float
) -> tuple[Array, Array]:
    lon, lat = coastlines.outline(layer)
    margin = 0.25 * max(east - west, north - south)
    inside = (
        (lon > west - margin)
        & (lon < east + margin)
        & (lat > max(south - margin, -60))
        & (lat < north + margin)
    )
    lon, lat = np.where(inside, lon, np.nan), np.where(inside, lat, np.nan)
    # pyproj returns inf for NaN; matplotlib breaks a line at NaN.
    x, y = (np.where(np.isfinite(a), a, np.nan) for a in project(lon, lat))
    return x, y


def _svg(fig: Figure, title: str) -> str:
    with io.StringIO() as file, warnings.catch_warnings():
        # The page's fonts draw the text, so glyphs missing from matplotlib's font do not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        fig.savefig(file, format="svg", metadata={"Date": None})
        text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for colour, name in _VARIABLES.items():
        text = text.replace(colour, f"var({name})")
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
