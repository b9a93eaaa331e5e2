"""A visitor's own table: dropped, checked, and joined to a dataset as a new one."""

from __future__ import annotations

from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
from panel.widgets import FileDropper

from app.runtime.tasks import Latest
from app.services.store import Store
from app.services.uploads import NETWORK, PRODUCT, Added, UploadRequest, add, check
from app.session.selection import NEWEST, SITES, Selection
from app.ui.card import card, heading
from app.ui.formatting import TABLE, html_table
from app.ui.status_line import StatusLine
from gsm3core.user_tables.files import SUFFIXES
from gsm3core.user_tables.upload import LARGEST, Upload

_KINDS = {"A product to compare": PRODUCT, "An in-situ network": NETWORK}
_UNITS = {"as the file states": "", "m³ m⁻³": "m3 m-3", "percent": "%"}
_WIDTH = {"size": "small", "sizing_mode": "stretch_width", "max_width": 250, "margin": (8, 14, 6, 0)}
_WORDS = {
    PRODUCT: "A table with the columns site, time, value, units; its sites are ids of the dataset, its days UTC. It becomes "
    "one more product, scored at the sites that it names.",
    NETWORK: "A table with the columns site, time, value, units, lat, lon (and depth in metres, station). Each of its sites "
    "borrows weather and attributes from the nearest site of the dataset, no farther than 25 km.",
}
_SHOWN = 200
_DASHED = """
:host { box-sizing: border-box; padding: 2px;
  border: 1.5px dashed color-mix(in srgb, var(--panel-on-surface-color) 40%, transparent); border-radius: 10px; }
"""


class TableDropper(FileDropper):
    """A FileDropper that stops taking chunks once they are too many: the browser's own limit can be passed by."""

    def _process_event(self, event: Any) -> None:
        kept = sum(len(part) for parts in self._file_buffer.values() for part in parts)
        coming = event.data.get("data")
        if event.event_name == "upload_event" and kept + len(coming or b"") > LARGEST:
            self._file_buffer.clear()
            return
        super()._process_event(event)


class UploadForm:
    """Drop a table, see what it holds, add it.

    Parameters
    ----------
    selection, store
        Of the visitor and of the server.
    added
        Called with the name of the new dataset.
    """

    def __init__(self, selection: Selection, store: Store, added: Any = lambda _: None) -> None:
        self._selection, self._store, self._added = selection, store, added
        self._checking: Latest[Upload] = Latest(self._show_upload, self._not_in_order)
        self._adding: Latest[Added] = Latest(self._show_added, self._refuse)
        self.kind = pmui.Select(label="What it is", options=_KINDS, value=PRODUCT, **_WIDTH)
        self.dataset = pmui.Select(
            label="Add it to", options={}, description="Stays as it is; a new dataset is written.", **_WIDTH
        )
        self.name = pmui.TextInput(label="Name of the product or network", **_WIDTH)
        self.units = pmui.Select(
            label="Units",
            options=_UNITS,
            value="",
            description="For a table without the column units.",
            **_WIDTH,
        )
        self.new_name = pmui.TextInput(label="Name of the new dataset", **_WIDTH)
        self.file = TableDropper(
            accepted_filetypes=list(SUFFIXES),
            max_file_size=f"{LARGEST >> 20}MB",
            multiple=False,
            chunk_size=4_000_000,
            sizing_mode="stretch_width",
            min_height=76,
            margin=(8, 0),
            stylesheets=[_DASHED],
        )
        self._words = pn.pane.HTML(stylesheets=[TABLE], margin=0, sizing_mode="stretch_width")
        self._summary = pn.pane.HTML(
            "",
            stylesheets=[TABLE],
            margin=(4, 0),
            sizing_mode="stretch_width",
            css_classes=["upload-summary"],
        )
        self._waiting = StatusLine()
        self.add = pmui.Button(
            label="Add to a new dataset", variant="contained", icon="add", on_click=self._add, disabled=True, margin=(6, 10, 6, 0)
        )  # fmt: skip
        self.open = pmui.Button(
            label="Show it on the Sites page", variant="outlined", icon="map", on_click=self._open, visible=False, margin=(6, 0)
        )  # fmt: skip
        self._new = ""
        title = heading(
            "Add your own",
            f"CSV, netCDF-4 or parquet, at most {LARGEST >> 20} MB. The table is checked and never executed; the dataset "
            "that it is added to stays as it is.",
        )
        wrapped = {"stylesheets": [":host { flex-wrap: wrap; }"], "sizing_mode": "stretch_width", "margin": 0}
        self.card = card(
            pn.pane.HTML(title, margin=0, sizing_mode="stretch_width"),
            pn.Row(self.kind, self.dataset, self.units, **wrapped),
            self._words,
            self.file,
            self._waiting.column,
            self._summary,
            pn.Row(self.name, self.new_name, **wrapped),
            pn.Row(self.add, self.open, margin=0),
        )
        self.kind.param.watch(self._take_kind, "value")
        self.file.param.watch(self._check, "value")
        self.units.param.watch(self._check, "value")
        self._take_kind()

    def offer(self, datasets: list[str]) -> None:
        """Offer the datasets that a table can be added to."""
        value = self.dataset.value if self.dataset.value in datasets else None
        shown = self._selection.dataset
        value = value or (shown if shown in datasets else next(iter(datasets), None))
        self.dataset.param.update(options={n: n for n in datasets}, value=value)

    def _take_kind(self, *_: object) -> None:
        self._words.object = f"<p>{_WORDS[self.kind.value]}</p>"
        self._check()

    def _check(self, *_: object) -> None:
        self.add.disabled = True
        self.open.visible = False
        self._summary.object = ""
        self._waiting.end()
        wish = self._wish()
        if wish is not None:
            self._waiting.begin(f"Checking {wish.file}")
            self._checking.later(lambda: check(wish))

    def _show_upload(self, upload: Upload) -> None:
        self._waiting.end()
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
        wish = self._wish()
        if wish is None or not wish.dataset:
            self._not_in_order("Drop a table and choose the dataset that it is added to.")
            return
        self.add.disabled = True
        self._waiting.begin(f"Adding {wish.name} and writing the new dataset")
        self._adding.later(lambda: add(self._store, wish))

    def _show_added(self, added: Added) -> None:
        self._waiting.end()
        self._new = added.dataset
        self.open.visible = True
        self._summary.object = _matched(added)
        self._added(added.dataset)

    def _not_in_order(self, problem: str) -> None:
        self._waiting.fail(problem, "This table cannot be added.")

    def _refuse(self, problem: str) -> None:
        self.add.disabled = False  # another name may do
        self._waiting.fail(problem, "Not added.")

    def _open(self, _: object) -> None:
        self._selection.change(page=SITES, dataset=self._new, run=NEWEST, reference="", site="")

    def _wish(self) -> UploadRequest | None:
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
    facts |= {f"Not used: {reason}": f"{count:,}" for reason, count in upload.refused.items()}
    if upload.notes:
        facts["Noted"] = "; ".join(upload.notes)
    rows = [
        f'<tr><td class="text">{escape(key)}</td><td class="text wrap">{escape(text)}</td></tr>'
        for key, text in facts.items()
    ]
    return html_table([escape(upload.name), "What it holds"], rows, texts=2)


def _matched(added: Added) -> str:
    columns = [c for c in added.sites.columns if c != "outcome"]
    titles = {
        "site": "Site",
        "note": "Why not",
        "neighbour": "Neighbour",
        "km": "Distance (km)",
        "days": "Days",
    }
    rows = []
    for row in (
        added.sites.sort_values("outcome", ascending=True, kind="stable").head(_SHOWN).to_dict("records")
    ):
        cells = "".join(f'<td class="text wrap">{escape(str(row[c]))}</td>' for c in columns)
        rows.append(f'<tr><td class="text">{escape(row["outcome"])}</td>{cells}</tr>')
    more = f"<p>And {len(added.sites) - _SHOWN} more sites.</p>" if len(added.sites) > _SHOWN else ""
    told = (
        f"<p><b>{escape(added.dataset)}</b> is written: {added.used} of {len(added.sites)} sites used, {added.days:,} values. "
        "What became of each site of the table:</p>"
    )
    return told + html_table(["", *(titles[c] for c in columns)], rows, texts=len(columns) + 1) + more
