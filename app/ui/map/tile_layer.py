"""Online background map: available if its server is reachable, off until the user turns it on."""

from __future__ import annotations

import panel_material_ui as pmui
import param
from bokeh.models import TileRenderer
from bokeh.plotting import figure

from app.session.selection import ONLINE, OUTLINE, Selection
from app.ui.map import tile_source as tiles

_ALPHA = (0.55, 0.3)  # light and dark theme; the sites must stand out


class TileLayer:
    """Switch and tiles of a figure with web-Mercator axes, bound to ``selection.background``."""

    def __init__(self, selection: Selection, fig: figure) -> None:
        self._selection = selection
        self._figure = fig
        self.layer: TileRenderer | None = None
        self.switch = pmui.Checkbox(
            label="Online map behind the sites",
            value=False,
            visible=tiles.is_reachable(),
            size="small",
            description="Loads map tiles of the visible area from openstreetmap.org; no data are sent.",
            margin=(0, 0, 4, 0),
        )
        self.switch.param.watch(
            lambda event: setattr(selection, "background", ONLINE if event.new else OUTLINE), "value"
        )
        selection.param.watch(self._show, ["background", "theme"])
        selection.param.watch(self._update_switch, "evaluation")
        self._show()

    def _update_switch(self, *_: param.parameterized.Event) -> None:
        if self.switch.visible != tiles.is_reachable():
            self.switch.visible = tiles.is_reachable()
            self._show()

    def _show(self, *_: param.parameterized.Event) -> None:
        # A link may select the online map on a machine that cannot reach it: only the coastlines are then shown.
        is_online = self._selection.background == ONLINE and tiles.is_reachable()
        if self.switch.value != is_online and tiles.is_reachable():
            self.switch.value = is_online
        if self.layer is not None:
            self._figure.renderers.remove(self.layer)
            self.layer = None
        if is_online:
            self.layer = self._figure.add_tile(
                tiles.source(), level="underlay", name="tiles", alpha=_ALPHA[self._selection.dark]
            )
