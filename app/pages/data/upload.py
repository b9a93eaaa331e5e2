"""Upload of a table: checked, joined to a dataset, and saved as a new dataset."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.runtime.tasks import LatestTask
from app.services.store import Store
from app.services.uploads import NETWORK, PRODUCT, UploadRequest, UploadResult, add, check
from app.session.selection import NEWEST, SITES, Selection
from app.ui.card import card, heading
from app.ui.formatting import TABLE, html_table
from app.ui.status_line import StatusLine
from app.ui.workarounds.upload_limit import BoundedFileDropper
from gsm3core.user_tables.files import SUFFIXES
from gsm3core.user_tables.upload import MAX_UPLOAD_BYTES, Upload

_KINDS = {"Soil-moisture product": PRODUCT, "In-situ network": NETWORK}
_UNITS = {"as stated in the file": "", "m³ m⁻³": "m3 m-3", "percent": "%"}
_WIDTH = {"size": "small", "sizing_mode": "stretch_width", "max_width": 250, "margin": (8, 14, 6, 0)}
_EXPLANATIONS = {
    PRODUCT: "Columns: site (id in the dataset), time (UTC), value, units. The product is scored at the sites in the table.",
    NETWORK: "Columns: site, time, value, units, lat, lon; optional: depth (m), station. Each site uses the forcings and "
    "attributes of the nearest site of the dataset within 25 km.",
}
_MAX_SITES = 200
_DASHED = """
:host { box-sizing: border-box; padding: 2px;
  border: 1.5px dashed color-mix(in srgb, var(--panel-on-surface-color) 40%, transparent); border-radius: 10px; }
"""


class UploadForm:
    """Form that checks a table, shows its contents and adds it to a new dataset.

    Parameters
    ----------
    on_added
        Called with the name of the new dataset.
    """

    def __init__(self, selection: Selection, store: Store, on_added: Any = lambda _: None) -> None:
        self._selection, self._store, self._on_added = selection, store, on_added
        self._checking: LatestTask[Upload] = LatestTask(self._show_upload, self._reject)
        self._adding: LatestTask[UploadResult] = LatestTask(self._show_added, self._show_error)
        self._new_dataset = ""
        self._make_fields()
        self._explanation = pn.pane.HTML(stylesheets=[TABLE], margin=0, sizing_mode="stretch_width")
        self._summary = pn.pane.HTML(
            "",
            stylesheets=[TABLE],
            margin=(4, 0),
            sizing_mode="stretch_width",
            css_classes=["upload-summary"],
        )
        self._status = StatusLine()
        self.add = pmui.Button(
            label="Add to a new dataset", variant="contained", icon="add", on_click=self._add, disabled=True, margin=(6, 10, 6, 0)
        )  # fmt: skip
        self.open = pmui.Button(
            label="Show the new dataset", variant="outlined", icon="map", on_click=self._open, visible=False, margin=(6, 0)
        )  # fmt: skip
        self.card = self._layout()
        self.kind.param.watch(self._show_kind, "value")
        self.file.param.watch(self._check, "value")
        self.units.param.watch(self._check, "value")
        self._show_kind()

    def _make_fields(self) -> None:
        self.kind = pmui.Select(label="Type", options=_KINDS, value=PRODUCT, **_WIDTH)
        self.dataset = pmui.Select(
            label="Base dataset", options={}, description="Not changed; a new dataset is written.", **_WIDTH
        )
        self.name = pmui.TextInput(label="Name of the product or network", **_WIDTH)
        self.units = pmui.Select(
            label="Units",
            options=_UNITS,
            value="",
            description="Used if the table has no units column.",
            **_WIDTH,
        )
        self.new_name = pmui.TextInput(label="Name of the new dataset", **_WIDTH)
        self.file = BoundedFileDropper(
            max_bytes=MAX_UPLOAD_BYTES,
            accepted_filetypes=list(SUFFIXES),
            max_file_size=f"{MAX_UPLOAD_BYTES >> 20}MB",
            multiple=False,
            chunk_size=4_000_000,
            sizing_mode="stretch_width",
            min_height=76,
            margin=(8, 0),
            stylesheets=[_DASHED],
        )

    def _layout(self) -> pn.Column:
        title = heading(
            "Upload a table",
            f"CSV, netCDF-4 or Parquet, at most {MAX_UPLOAD_BYTES >> 20} MB. Content is checked and never executed; the base "
            "dataset is not changed.",
        )
        wrapped = {"stylesheets": [":host { flex-wrap: wrap; }"], "sizing_mode": "stretch_width", "margin": 0}
        return card(
            pn.pane.HTML(title, margin=0, sizing_mode="stretch_width"),
            pn.Row(self.kind, self.dataset, self.units, **wrapped),
            self._explanation,
            self.file,
            self._status.column,
            self._summary,
            pn.Row(self.name, self.new_name, **wrapped),
            pn.Row(self.add, self.open, margin=0),
        )

    def update_datasets(self, datasets: list[str]) -> None:
        """List the datasets that a table can be added to."""
        value = self.dataset.value if self.dataset.value in datasets else None
        shown = self._selection.dataset
        value = value or (shown if shown in datasets else next(iter(datasets), None))
        self.dataset.param.update(options={n: n for n in datasets}, value=value)

    def _show_kind(self, *_: object) -> None:
        self._explanation.object = f"<p>{_EXPLANATIONS[self.kind.value]}</p>"
        self._check()

    def _check(self, *_: object) -> None:
        self.add.disabled = True
        self.open.visible = False
        self._summary.object = ""
        self._status.end()
        request = self._request()
        if request is not None:
            self._status.begin(f"Checking {request.file}")
            self._checking.run_in_background(lambda: check(request))

    def _show_upload(self, upload: Upload) -> None:
        self._status.end()
        self._summary.object = _summary(upload)
        stem = upload.name.rpartition(".")[0]
        if not self.name.value:
            self.name.value = self.name.value_input = stem[:40]
        if not self.new_name.value and self.dataset.value:
            self.new_name.value = self.new_name.value_input = (
                f"{self.dataset.value.rpartition('.')[0]} with {stem}"[:60]
            )
        self.add.disabled = False

    def _add(self, _: object) -> None:
        request = self._request()
        if request is None or not request.dataset:
            self._reject("Upload a table and choose a base dataset.")
            return
        self.add.disabled = True
        self._status.begin(f"Adding {request.name} and writing the new dataset")
        self._adding.run_in_background(lambda: add(self._store, request))

    def _show_added(self, added: UploadResult) -> None:
        self._status.end()
        self._new_dataset = added.dataset
        self.open.visible = True
        self._summary.object = _outcome_table(added)
        self._on_added(added.dataset)

    def _reject(self, problem: str) -> None:
        self._status.fail(problem, "This table cannot be added.")

    def _show_error(self, problem: str) -> None:
        self.add.disabled = False  # another name may be valid
        self._status.fail(problem, "Not added.")

    def _open(self, _: object) -> None:
        self._selection.change(page=SITES, dataset=self._new_dataset, run=NEWEST, reference="", site="")

    def _request(self) -> UploadRequest | None:
        if not self.file.value:
            return None
        file, content = next(reversed(self.file.value.items()))
        return UploadRequest(
            dataset=self.dataset.value or "",
            kind=self.kind.value,
            name=str(self.name.value_input or self.name.value).strip(),
            units=self.units.value,
            file=file,
            content=content.encode() if isinstance(content, str) else bytes(content),
            new_name=str(self.new_name.value_input or self.new_name.value),
        )


def _summary(upload: Upload) -> str:
    names = ", ".join(upload.sites) + (" …" if upload.sites_count > len(upload.sites) else "")
    facts = {
        "Sites": f"{upload.sites_count}: {names}",
        "Days": f"{upload.days:,} daily values, {upload.first_day} to {upload.last_day}",
        "Values": f"{upload.lowest:.3f} to {upload.highest:.3f} m³ m⁻³, median {upload.median:.3f} (units given: {upload.units})",
        "Rows": f"{upload.rows_used:,} of {upload.rows_read:,} can be used",
    }
    facts |= {f"Rejected: {reason}": f"{count:,}" for reason, count in upload.refused.items()}
    if upload.notes:
        facts["Notes"] = "; ".join(upload.notes)
    rows = [
        f'<tr><td class="text">{escape(key)}</td><td class="text wrap">{escape(text)}</td></tr>'
        for key, text in facts.items()
    ]
    return html_table([escape(upload.name), "Contents"], rows, texts=2)


def _outcome_table(added: UploadResult) -> str:
    columns = [c for c in added.sites.columns if c != "outcome"]
    titles = {
        "site": "Site",
        "note": "Reason",
        "neighbour": "Neighbour",
        "km": "Distance (km)",
        "days": "Days",
    }
    rows = []
    for row in (
        added.sites.sort_values("outcome", ascending=True, kind="stable").head(_MAX_SITES).to_dict("records")
    ):
        cells = "".join(f'<td class="text wrap">{escape(str(row[c]))}</td>' for c in columns)
        rows.append(f'<tr><td class="text">{escape(row["outcome"])}</td>{cells}</tr>')
    more = f"<p>And {len(added.sites) - _MAX_SITES} more sites.</p>" if len(added.sites) > _MAX_SITES else ""
    summary = (
        f"<p><b>{escape(added.dataset)}</b> created: {added.used} of {len(added.sites)} sites used, {added.days:,} values. "
        "Outcome by site:</p>"
    )
    return summary + html_table(["", *(titles[c] for c in columns)], rows, texts=len(columns) + 1) + more
