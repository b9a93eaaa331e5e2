"""The online background map below the coastlines: offered where it can be reached, off until a visitor turns it on."""

from __future__ import annotations

import panel_material_ui as pmui
import param
from bokeh.models import TileRenderer
from bokeh.plotting import figure

from app.session.selection import ONLINE, OUTLINE, Selection
from app.ui.map import tile_source as tiles

_ALPHA = (0.55, 0.3)  # the sites must stand out from it, on the light and the dark page


class TileLayer:
    """A switch, and the tiles that it shows.

    Parameters
    ----------
    selection
        Of the visitor; its ``background`` says what is shown.
    fig
        A figure with web-Mercator axes.
    """

    def __init__(self, selection: Selection, fig: figure) -> None:
        self._selection = selection
        self._figure = fig
        self.layer: TileRenderer | None = None
        self.switch = pmui.Checkbox(
            label="Online map behind the sites",
            value=False,
            visible=tiles.reachable(),
            size="small",
            description="Asks openstreetmap.org for pictures of the part that is looked at; no data are sent.",
            margin=(0, 0, 4, 0),
        )
        self.switch.param.watch(
            lambda event: setattr(selection, "background", ONLINE if event.new else OUTLINE), "value"
        )
        selection.param.watch(self._show, ["background", "theme"])
        selection.param.watch(self._offer, "evaluation")
        self._show()

    def _offer(self, *_: param.parameterized.Event) -> None:
        if self.switch.visible != tiles.reachable():
            self.switch.visible = tiles.reachable()
            self._show()

    def _show(self, *_: param.parameterized.Event) -> None:
        # A link may ask for tiles where there are none: the coastlines are then all there is.
        wanted = self._selection.background == ONLINE and tiles.reachable()
        if self.switch.value != wanted and tiles.reachable():
            self.switch.value = wanted
        if self.layer is not None:
            self._figure.renderers.remove(self.layer)
            self.layer = None
        if wanted:
            self.layer = self._figure.add_tile(
                tiles.source(), level="underlay", name="tiles", alpha=_ALPHA[self._selection.dark]
            )
