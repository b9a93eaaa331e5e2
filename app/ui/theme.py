"""Colours of pages, products and metric scales, for the light and the dark theme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from bokeh.palettes import BrBG11, Viridis256, YlOrBr9, interp_palette
from bokeh.plotting import figure

from gsm3core import vocabulary as v


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """Colours of figures in one theme."""

    ink: str
    muted: str
    surface: str
    coast: str
    border: str
    hollow: str
    outline: str
    accent: str
    observed: str
    rain: str
    shade: str


LIGHT = Colours(
    ink="#1c2b30",
    muted="#5b6b70",
    surface="#ffffff",
    coast="#8d9b9f",
    border="#cfd7d8",
    hollow="#7f8d91",
    outline="#37474f",
    accent="#d1495b",
    observed="#263238",
    rain="#5b9bd5",
    shade="#0f6b7b",
)
DARK = Colours(
    ink="#e4ebed",
    muted="#9fb0b5",
    surface="#172024",
    coast="#6d7f85",
    border="#364449",
    hollow="#76868b",
    outline="#0b1113",
    accent="#ff7a8a",
    observed="#eceff1",
    rain="#6fb1e8",
    shade="#5cc3d6",
)


def colours(dark: bool) -> Colours:
    """Return the colours of the dark or the light theme."""
    return DARK if dark else LIGHT


# After Okabe and Ito, distinguishable with any colour vision. A product has the same colour on every page.
_PRODUCT = MappingProxyType(
    {
        v.MULTITASK_LSTM: ("#0072b2", "#56b4e9"),
        v.SMAP: ("#cf7e00", "#f0a830"),
        v.SMOS: ("#b3559a", "#d98cc0"),
        v.AMSR2: ("#00875f", "#2fc49a"),
        v.GLDAS_NOAH: ("#c4500a", "#f08a4b"),
        v.SOMO_ML: ("#6a5acd", "#a99cf5"),
    }
)
_MORE = (("#7a6a2f", "#cbb868"), ("#4f7d2a", "#9ccc65"), ("#8d6e63", "#bcaaa4"), ("#546e7a", "#90a4ae"))


def product_colour(product: str, *, dark: bool) -> str:
    """Return the colour of a product; unknown products get one of four spare colours, by name."""
    pair = _PRODUCT.get(product) or _MORE[sum(product.encode()) % len(_MORE)]
    return pair[dark]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Colour scale of a metric.

    Parameters
    ----------
    palette, low, high, ticks
        Fixed limits make maps comparable; values beyond take the end colour.
    mark, mark_label
        Reference value drawn as a line on axes, and its label.
    digits
        Decimals in tables.
    """

    palette: tuple[str, ...]
    low: float
    high: float
    ticks: tuple[float, ...]
    mark: float | None = None
    mark_label: str = ""
    digits: int = 3


_HIGH_IS_GOOD = tuple(Viridis256)
_BROWN_TO_GREEN = interp_palette(BrBG11[::-1], 256)
_ERROR = interp_palette(YlOrBr9[::-1], 256)  # Bokeh's order is dark to light; large errors are dark

_CORRELATION = Scale(palette=_HIGH_IS_GOOD, low=0, high=1, ticks=(0, 0.2, 0.4, 0.6, 0.8, 1), digits=2)
_EFFICIENCY = Scale(
    palette=_HIGH_IS_GOOD, low=-0.5, high=1, ticks=(-0.5, 0, 0.5, 1), mark=0, mark_label="0", digits=2
)
_RATIO = Scale(
    palette=_BROWN_TO_GREEN,
    low=0,
    high=2,
    ticks=(0, 0.5, 1, 1.5, 2),
    mark=1,
    mark_label="1, as in situ",
    digits=2,
)

SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "R": _CORRELATION,
        "RMSE": Scale(palette=_ERROR, low=0, high=0.15, ticks=(0, 0.05, 0.1, 0.15)),
        "ubRMSE": Scale(
            palette=_ERROR,
            low=0,
            high=0.10,
            ticks=(0, 0.02, 0.04, 0.06, 0.08, 0.1),
            mark=0.04,
            mark_label="0.04, the goal of the SMAP mission",
        ),
        # Brown is a dry bias, blue-green a wet one.
        "bias": Scale(
            palette=_BROWN_TO_GREEN,
            low=-0.1,
            high=0.1,
            ticks=(-0.1, -0.05, 0, 0.05, 0.1),
            mark=0,
            mark_label="no bias",
        ),
        "TC_error": Scale(palette=_ERROR, low=0, high=0.10, ticks=(0, 0.02, 0.04, 0.06, 0.08, 0.1)),
        **dict.fromkeys(("anomaly_R", "climatology_R", "spearman", "TC_R"), _CORRELATION),
        **dict.fromkeys(("KGE", "KGE_2012", "NSE"), _EFFICIENCY),
        **dict.fromkeys(("KGE_alpha", "KGE_beta", "KGE_gamma"), _RATIO),
    }
)


def scale_of(metric: str, limits: tuple[float, float] | None = None) -> Scale:
    """Return the scale of a metric, with the user's limits if there are any."""
    scale = SCALES[metric]
    if limits is None or limits == (scale.low, scale.high):
        return scale
    low, high = limits
    inner = tuple(t for t in scale.ticks if low < t < high)
    return replace(scale, low=low, high=high, ticks=(low, *inner, high))


THEME: dict[str, Any] = {
    "typography": {"button": {"textTransform": "none"}},
    "light": {
        "palette": {
            "primary": {"main": "#0f6b7b"},
            "background": {"default": "#f3f5f5", "paper": LIGHT.surface},
            "text": {"primary": LIGHT.ink, "secondary": LIGHT.muted},
        }
    },
    "dark": {
        "palette": {
            "primary": {"main": "#5cc3d6"},
            "background": {"default": "#0f1618", "paper": DARK.surface},
            "text": {"primary": DARK.ink, "secondary": DARK.muted},
        }
    },
}


def style_figure(fig: figure) -> figure:
    """Return the figure without logo, outline and minor ticks, its toolbar hidden until hovered."""
    fig.toolbar.logo = None
    fig.toolbar.autohide = True
    fig.outline_line_color = None
    fig.axis.minor_tick_line_color = None
    fig.output_backend = "canvas"
    fig.html_attributes = {"role": "figure", "aria-label": (fig.name or "plot").replace("_", " ")}
    return fig
