"""The choice of the site attribute by which the boxplots group the sites."""

from __future__ import annotations

import panel_material_ui as pmui
import param

from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges

_NAMES = {
    "region": "Region",
    "network": "Network",
    "land_cover": "Land cover",
    "climate": "Climate",
    "mean_soil_moisture": "Mean soil moisture",
    "aspect": "Aspect",
}


class GroupingSelect:
    """A select of the site attributes that the dataset has.

    Parameters
    ----------
    selection
        Its ``grouping`` is changed.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._user_changes = UserChanges()
        self.widget = pmui.Select(
            label="Group sites by",
            options={},
            size="small",
            width=210,
            margin=(8, 0, 4, 0),
            description="Site attribute that defines the rows of the boxplot.",
        )
        self._user_changes.watch(self.widget, lambda name: selection.change(grouping=name, group=""))
        selection.param.watch(self._update, ["evaluation", "grouping"])
        self._update()

    def _update(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        if evaluation is None:
            return
        options = {_NAMES[name]: name for name in evaluation.groupings}
        if (self.widget.options, self.widget.value) != (options, self._selection.grouping):
            with self._user_changes.silenced():
                self.widget.param.update(options=options, value=self._selection.grouping)
