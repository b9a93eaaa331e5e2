"""The Data page: available datasets, upload of a table, and the catalogue of data sources."""

from __future__ import annotations

import panel as pn

from app.export.dialog import ExportDialog
from app.pages.data.catalogue import Catalogue
from app.pages.data.datasets import Datasets
from app.pages.data.upload import UploadForm
from app.services.dataset_inventory import DatasetSummary, catalogue, dataset_summaries
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.async_panel import AsyncPanel
from app.ui.page_layout import PageSection, stack
from gsm3core.readers.availability import Availability

_ABOUT = """
<div style="font-size:13px;line-height:1.55;color:var(--panel-on-surface-color)">
<h2 style="font-size:16px;margin:8px 0 4px">Data</h2>
<p>A <b>dataset</b> holds sites with in-situ records, satellite and model products, forcings and attributes, checked and
in common units.</p>
<p>A <b>source</b> is a product as distributed by its provider; <code>gsm3 data build</code> builds datasets from sources.</p>
<p>An uploaded table is added to a <b>new</b> dataset; existing datasets are not changed.</p>
</div>
"""


def data_page(selection: Selection, controller: SessionController) -> PageSection:
    """Return the page."""
    store = controller.store
    export = ExportDialog(selection, store)
    datasets, sources = Datasets(selection, export), Catalogue(export)
    new_dataset = ""

    def show_new(name: str) -> None:
        nonlocal new_dataset
        new_dataset = name
        dataset_panel.compute(lambda: dataset_summaries(store))

    upload = UploadForm(selection, store, show_new)
    main = stack()

    def show_datasets(found: list[DatasetSummary]) -> list[pn.viewable.Viewable]:
        datasets.show(found, new_dataset)
        upload.update_datasets([h.name for h in found if not h.problem])
        return [datasets.card]

    def show_catalogue(
        found: dict[str, list[tuple[str, Availability, dict[str, str]]]],
    ) -> list[pn.viewable.Viewable]:
        sources.show(found)
        return [sources.card]

    dataset_panel = AsyncPanel(main, selection, "Reading the datasets", show_datasets)
    source_panel = AsyncPanel(main, selection, "Checking which sources are available", show_catalogue)
    main.objects = [dataset_panel.column, upload.card, source_panel.column, export.dialog]
    dataset_panel.compute(lambda: dataset_summaries(store))
    source_panel.compute(catalogue)
    about = pn.pane.HTML(_ABOUT, margin=(4, 16), sizing_mode="stretch_width")

    def refresh(runs_changed: bool) -> None:
        if {h.name for h in dataset_panel.result or []} != set(store.datasets()) and not dataset_panel.busy:
            dataset_panel.compute(lambda: dataset_summaries(store))

    return PageSection(main, pn.Column(about, sizing_mode="stretch_width", margin=0), refresh)
