"""Coastlines and borders in web-Mercator metres, from a file of the package: no tiles, no network."""

from __future__ import annotations

from functools import cache

import numpy as np
from bokeh.models import GlyphRenderer
from bokeh.plotting import figure
from numpy.typing import NDArray

from app.ui.theme import Colours
from gsm3core.geography import coastlines
from gsm3core.geography.mercator import mercator

_SOUTHERNMOST = -60.0

Array = NDArray[np.float64]


@cache
def outline(name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return one layer (``coast``, ``borders`` or ``land``) as a single NaN-separated line.

    One line of 30,000 points renders some fifty times faster than 1,400 lines of a few points each.
    """
    lon, lat = coastlines.outline(name)
    # Without Antarctica, which has no sites and fills a third of a Mercator map.
    x, y = mercator(lon, np.where(lat < _SOUTHERNMOST, np.nan, lat))
    return x.astype(np.float32), y.astype(np.float32)


class Basemap:
    """Coast and borders under a map.

    Parameters
    ----------
    fig
        Figure with web-Mercator axes; still empty, so that everything else is drawn above.
    """

    def __init__(self, fig: figure, colours: Colours) -> None:
        self._borders: GlyphRenderer = fig.line(*outline("borders"), line_width=0.6, name="borders")
        self._coast: GlyphRenderer = fig.line(*outline("coast"), line_width=0.8, name="coast")
        self.restyle(colours)

    def restyle(self, colours: Colours) -> None:
        """Set the colours of the theme."""
        self._borders.glyph.line_color = colours.border
        self._coast.glyph.line_color = colours.coast
