"""By what the boxes divide the sites."""

from __future__ import annotations

import panel_material_ui as pmui
import param

from app.session.selection import Selection

_NAMES = {
    "region": "Region",
    "network": "Network",
    "land_cover": "Land cover",
    "climate": "Climate",
    "mean_soil_moisture": "Mean soil moisture",
    "aspect": "Aspect",
}


class Grouping:
    """One choice of those that the dataset can answer.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.widget = pmui.Select(
            label="Group the sites by",
            options={},
            size="small",
            width=210,
            margin=(8, 0, 4, 0),
            description="What a row of the boxes has in common.",
        )
        self.widget.param.watch(self._take, "value")
        selection.param.watch(self._follow, ["evaluation", "grouping"])
        self._follow()

    def _follow(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None:
            return
        options = {_NAMES[name]: name for name in evaluation.groupings}
        if (self.widget.options, self.widget.value) != (options, self._selection.grouping):
            self.widget.param.update(options=options, value=self._selection.grouping)

    def _take(self, event: param.parameterized.Event) -> None:
        if event.new and event.new != self._selection.grouping:
            self._selection.change(grouping=event.new, group="")
