"""Map of the holdout folds that the form describes; an area can be drawn on it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource
from bokeh.palettes import Turbo256

from app.export.dialog import ExportDialog, ExportItem
from app.pages.experiments.form import ExperimentForm, readable_error
from app.runtime.tasks import LatestTask
from app.services.fold_preview import TEST_SITE, TRAINING_SITE, UNUSED_SITE, FoldPreview, preview_folds
from app.services.store import Store
from app.session.selection import Selection
from app.ui.card import card, heading
from app.ui.formatting import TABLE, html_table
from app.ui.map.point_map import PointMap
from app.ui.status_line import StatusLine
from app.ui.theme import colours
from gsm3core import vocabulary as v
from gsm3core.errors import GSM3Error
from gsm3core.geography.mercator import degrees, mercator
from gsm3core.holdouts.base import NO_REGION, SAME_CELL
from gsm3core.holdouts.division import division_lines

_ALL_FOLDS = "All folds"
_FOLD_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800", "#7f7f7f")
_ROLE_COLOURS = {TEST_SITE: "#d55e00", TRAINING_SITE: "#0072b2"}
_NEAR, _LEFT_OUT_COLOURS = "#e69f00", {NO_REGION: "#b3b3b3", SAME_CELL: "#cc79a7"}
_MAX_ROWS = 12


class FoldMap:
    """Folds of the configuration in the form, updated with it; an area that is drawn is written to the form."""

    def __init__(
        self, selection: Selection, store: Store, form: ExperimentForm, export: ExportDialog
    ) -> None:
        self._selection, self._store, self._form = selection, store, form
        self._preview_task: LatestTask[FoldPreview] = LatestTask(self._show_preview, self._fail)
        self._preview: FoldPreview | None = None
        self._corners: list[tuple[float, float]] = []
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._status = StatusLine()
        self.fold = pmui.Select(
            label="Fold",
            options=[_ALL_FOLDS],
            value=_ALL_FOLDS,
            size="small",
            width=220,
            margin=(4, 12, 6, 0),
            description="One model is trained per fold and tested at the fold's sites. Choose a fold to see its training sites.",
        )
        self.draw = pmui.Button(
            label="Draw an area", variant="outlined", icon="edit", on_click=self._toggle, margin=(8, 8, 6, 0)
        )
        self.clear = pmui.Button(
            label="Clear the area", variant="text", on_click=self._clear, margin=(8, 8, 6, 0), visible=False
        )
        self._drawing = False
        self._map = PointMap(selection, "folds", height=360)
        self._area = ColumnDataSource(data={"x": [], "y": []})
        patch = self._map.figure.patch(
            "x", "y", source=self._area, fill_alpha=0.15, line_width=2, name="area"
        )
        patch.glyph.update(fill_color="#d55e00", line_color="#d55e00")
        self._map.on_click(self._add_corner)
        self._table = pn.pane.HTML(
            stylesheets=[TABLE], margin=(6, 0, 0, 0), sizing_mode="stretch_width", css_classes=["fold-table"]
        )
        self._content = pn.Column(sizing_mode="stretch_width", margin=0)
        item = ExportItem(
            title="holdout folds",
            figures=lambda: {"Map": self._map.figure} if self._preview is not None else {},
            tables={"Numbers": self._numbers},
            code=self._code,
            code_title="Command line: save this as experiment.toml and run gsm3 run experiment.toml",
            about=self._about,
        )
        self.card = card(
            export.heading_row(self._title, item),
            self._status.column,
            pn.Row(self.fold, self.draw, self.clear, margin=0),
            self._content,
        )
        self.redraw: Callable[[], None] = self.show
        self.fold.param.watch(lambda _: self.redraw(), "value")

    def update(self) -> None:
        """Compute the folds of the current form."""
        form = self._form
        self.draw.visible = form.holdout.chosen == "custom"
        self.clear.visible = self.draw.visible and bool(self._corners)
        try:
            config = form.config()
        except GSM3Error as error:
            self._preview_task.cancel()
            self._fail(str(error))
            return
        dataset = form.dataset.value
        self._status.begin("Computing the folds")
        self._preview_task.run_in_background(lambda: preview_folds(self._store, dataset, config))

    def _show_preview(self, preview: FoldPreview) -> None:
        self._preview = preview
        sites = preview.sites
        networks = sorted({n for n in sites["network"] if n})
        self._form.holdout.update_dataset(networks, [str(s) for s in sites.index], len(preview.days))
        if preview.problem:
            self._status.fail(readable_error(preview.problem, self._form.holdout.train.label))
        else:
            self._status.end()
        names = [_ALL_FOLDS, *(f.name for f in preview.folds)] if len(preview.folds) > 1 else [_ALL_FOLDS]
        self.fold.param.update(
            options={n.replace("_", " "): n for n in names}, value=self.fold.value if self.fold.value in names else _ALL_FOLDS
        )  # fmt: skip
        self.fold.visible = len(names) > 1
        self.redraw()

    def _fail(self, problem: str) -> None:
        self._preview = None
        self._status.fail(readable_error(problem, self._form.holdout.train.label))
        self._table.object = ""

    def show(self) -> None:
        """Draw the folds; ``redraw`` does so once the page is visible."""
        preview = self._preview
        if preview is None:
            return
        self._title.object = heading("Holdout folds", _summary(preview))
        self._table.object = _table(preview)
        classes, palette, hollow = self._colours(preview)
        labels = [c or hollow for c in classes]
        self._map.colour_by_class(preview.sites, classes, labels, palette, hollow=hollow)
        if not self._content.objects:
            self._content.objects = [self._map.legend, self._map.pane, self._table]

    def _colours(self, preview: FoldPreview) -> tuple[list[str], dict[str, str], str]:
        if not preview.folds:
            return [""] * len(preview.sites), {}, "all sites"
        if preview.splits_days:
            both = "training and test site, on different days"
            return [both] * len(preview.sites), {both: colours(self._selection.dark).shade}, ""
        name = preview.folds[0].name if len(preview.folds) == 1 else self.fold.value
        if name != _ALL_FOLDS:
            fold = next(f for f in preview.folds if f.name == name)
            left_out = {reason: _LEFT_OUT_COLOURS.get(reason, _NEAR) for reason in fold.left_out}
            return preview.roles(name), _ROLE_COLOURS | left_out, UNUSED_SITE
        names = [f.name.replace("_", " ") for f in preview.folds]
        picked = np.linspace(0, 255, len(names)).astype(int)
        many = [Turbo256[k] for k in picked] if len(names) > len(_FOLD_COLOURS) else list(_FOLD_COLOURS)
        tested = preview.test_fold_names()
        unused = {name: _LEFT_OUT_COLOURS[NO_REGION] for name in tested if name and name not in names}
        return tested, dict(zip(names, many, strict=False)) | unused, "tested in no fold"

    def _numbers(self) -> pd.DataFrame | None:
        preview = self._preview
        if preview is None:
            return None
        table = preview.sites[[v.STATION, v.NETWORK, v.REGION, v.LAT, v.LON]].assign(
            **{"tested by": preview.test_fold_names()}
        )
        return table.assign(**{f.name: preview.roles(f.name) for f in preview.folds[:_MAX_ROWS]})

    def _code(self) -> str:
        try:
            config = self._form.config()
        except GSM3Error as error:
            return f"# {readable_error(str(error))}"
        return f"# gsm3 run experiment.toml --out {self._store.runs_folder}\n\n{config.to_toml()}"

    def _about(self) -> list[str]:
        return [f"holdout folds; GSM3; dataset: {self._form.dataset.value}"]

    def _toggle(self, _: object) -> None:
        self._drawing = not self._drawing
        if self._drawing:
            self._corners = []
            self._draw_outline()
        elif len(self._corners) >= 3:
            self._form.holdout.polygon = tuple(self._corners)
        self.draw.label = "Close the area" if self._drawing else "Draw an area"
        self.clear.visible = bool(self._corners)

    def _clear(self, _: object) -> None:
        self._corners, self._drawing = [], False
        self.draw.label, self.clear.visible = "Draw an area", False
        self._draw_outline()
        self._form.holdout.polygon = ()

    def _add_corner(self, x: float, y: float) -> None:
        if self._drawing:
            lon, lat = degrees(x, y)
            self._corners = [*self._corners, (round(float(lon), 3), round(float(lat), 3))]
            self._draw_outline()

    def _draw_outline(self) -> None:
        x, y = mercator([c[0] for c in self._corners], [c[1] for c in self._corners])
        self._area.data = {"x": list(x), "y": list(y)}


def _summary(preview: FoldPreview) -> str:
    if not preview.folds:
        return "All sites of the dataset. Choose a holdout in the sidebar."
    if preview.splits_days:
        fold = preview.folds[0]
        return (
            f"All sites: training days {preview.date_range(fold.train_days)}, test days "
            f"{preview.date_range(fold.test_days)}."
        )
    tested = sum(int(f.test_sites.sum()) for f in preview.folds)
    if len(preview.folds) == 1:
        return f"{tested} test sites, {int(preview.folds[0].train_sites.sum())} training sites."
    return f"{len(preview.folds)} folds, {tested} of {len(preview.sites)} sites tested, each by a model not trained on it."


def _table(preview: FoldPreview) -> str:
    rows = [
        f'<tr><td class="text">{escape(f.name.replace("_", " "))}</td><td>{int(f.train_sites.sum())}</td>'
        f"<td>{int(f.test_sites.sum())}</td>{_left_out(preview, f.name)}<td>{preview.date_range(f.train_days)}</td>"
        f"<td>{preview.date_range(f.test_days)}</td></tr>"
        for f in preview.folds[:_MAX_ROWS]
    ]
    if not rows:
        return ""
    more = len(preview.folds) - len(rows)
    note = f"<p>And {more} more folds.</p>" if more > 0 else ""
    neither = ["In neither"] if _has_left_out(preview) else []
    head = ["Fold", "Training sites", "Test sites", *neither, "Training days", "Test days"]
    texts = [*division_lines(preview.division)[: 2 + _MAX_ROWS], *preview.notes]
    lines = "".join(f"<p>{escape(text)}</p>" for text in texts)
    return html_table(head, rows) + note + lines


def _has_left_out(preview: FoldPreview) -> bool:
    return any(f.left_out for f in preview.folds)


def _left_out(preview: FoldPreview, fold: str) -> str:
    if not _has_left_out(preview):
        return ""
    return f"<td>{sum(preview.division['folds'][fold]['left_out'].values())}</td>"
