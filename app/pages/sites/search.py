"""Search for a site by the name of its station or network, also by keyboard."""

from __future__ import annotations

import panel_material_ui as pmui
import param

from app.services.evaluation import Evaluation
from app.session.selection import Selection
from app.ui.bound_widgets import UserChanges
from app.ui.labels import unique_labels
from gsm3core import vocabulary as v


class SiteSearch:
    """An autocomplete field of stations and networks.

    Parameters
    ----------
    selection
        A choice changes its site and clears the field.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._user_changes = UserChanges()
        # Lazily: the names of all sites are tens of kilobytes, and many sessions never search.
        self.widget = pmui.AutocompleteInput(
            label="Find a site",
            placeholder="Station or network",
            search_strategy="includes",
            case_sensitive=False,
            lazy_search=True,
            restrict=True,
            size="small",
            width=300,
            margin=(4, 0),
        )
        self._user_changes.watch(self.widget, self._choose)
        selection.param.watch(self._update_options, "evaluation")
        self._update_options()

    def _update_options(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        with self._user_changes.silenced():
            self.widget.param.update(options=site_names(evaluation) if evaluation else {}, value="")

    def _choose(self, site: str) -> None:
        if not site:
            return
        self._selection.choose_site(site)
        with self._user_changes.silenced():
            self.widget.value = ""


def site_names(evaluation: Evaluation) -> dict[str, str]:
    """Return the unique display name of every site -> its id, in alphabetical order."""
    sites = evaluation.sites
    labels = sites[v.STATION].str.cat(sites[v.NETWORK].where(sites[v.NETWORK] == "", ", " + sites[v.NETWORK]))
    return unique_labels({str(site): str(label) for site, label in labels.sort_values().items()})
