"""The Data page: the datasets that are here, a visitor's own table, and the catalogue of sources."""

from __future__ import annotations

import panel as pn

from app.export.dialog import ExportDialog
from app.pages.data.catalogue import Catalogue
from app.pages.data.datasets import Datasets
from app.pages.data.upload import UploadForm
from app.services.dataset_inventory import DatasetSummary, catalogue, holdings
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.async_panel import AsyncPanel
from app.ui.page_layout import Part, stack
from gsm3core.readers.availability import Presence

_ABOUT = """
<div style="font-size:13px;line-height:1.55;color:var(--panel-on-surface-color)">
<h2 style="font-size:16px;margin:8px 0 4px">Data</h2>
<p>A <b>dataset</b> holds sites with their in-situ record, satellite and model products, weather and attributes, checked
and in the same units.</p>
<p>A <b>source</b> is what its producer distributes; <code>gsm3 data build</code> makes datasets of sources.</p>
<p>A table of your own becomes part of a <b>new</b> dataset; nothing that is here is changed.</p>
</div>
"""


def data_page(selection: Selection, visitor: SessionController) -> Part:
    """Return the page."""
    store = visitor.store
    take = ExportDialog(selection, store)
    datasets, listed = Datasets(selection, take), Catalogue(take)
    new = ""

    def added(name: str) -> None:
        nonlocal new
        new = name
        reading.ask(lambda: holdings(store))

    upload = UploadForm(selection, store, added)
    main = stack()

    def show_datasets(found: list[DatasetSummary]) -> list[pn.viewable.Viewable]:
        datasets.show(found, new)
        upload.offer([h.name for h in found if not h.problem])
        return [datasets.card]

    def show_catalogue(
        found: dict[str, list[tuple[str, Presence, dict[str, str]]]],
    ) -> list[pn.viewable.Viewable]:
        listed.show(found)
        return [listed.card]

    reading = AsyncPanel(main, selection, "Reading what the datasets hold", show_datasets)
    looking = AsyncPanel(main, selection, "Looking which sources are on this machine", show_catalogue)
    main.objects = [reading.column, upload.card, looking.column, take.dialog]
    reading.ask(lambda: holdings(store))
    looking.ask(catalogue)
    about = pn.pane.HTML(_ABOUT, margin=(4, 16), sizing_mode="stretch_width")

    def look(runs_changed: bool) -> None:
        if {h.name for h in reading.result or []} != set(store.datasets()) and not reading.busy:
            reading.ask(lambda: holdings(store))

    return Part(main, pn.Column(about, sizing_mode="stretch_width", margin=0), look)
