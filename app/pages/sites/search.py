"""A field that finds a site by the name of its station or network, for who has no mouse or knows what they look for."""

from __future__ import annotations

import panel_material_ui as pmui
import param

from app.services.evaluation import Evaluation
from app.session.selection import Selection
from app.ui.labels import distinct
from gsm3core import vocabulary as v


class SiteSearch:
    """Station, network -> site.

    Parameters
    ----------
    selection
        Of the visitor; a choice changes its site, and empties the field for the next one.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        # Lazily: the names of all sites would be tens of kilobytes for who never asks.
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
        self.widget.param.watch(self._take, "value")
        selection.param.watch(self._offer, "evaluation")
        self._offer()

    def _offer(self, *_: param.parameterized.Event) -> None:
        evaluation = self._selection.evaluation
        self.widget.param.update(options=site_names(evaluation) if evaluation else {}, value="")

    def _take(self, event: param.parameterized.Event) -> None:
        if event.new:
            self._selection.choose_site(event.new)
            self.widget.value = ""


def site_names(evaluation: Evaluation) -> dict[str, str]:
    """Return what every site is called -> its id, in the order of the names."""
    sites = evaluation.sites
    labels = sites[v.STATION].str.cat(sites[v.NETWORK].where(sites[v.NETWORK] == "", ", " + sites[v.NETWORK]))
    return distinct({str(site): str(label) for site, label in labels.sort_values().items()})
