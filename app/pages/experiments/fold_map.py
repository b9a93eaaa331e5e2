"""What the form holds out, on the map, before anything is launched; an area can be drawn there."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np
import pandas as pd
import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource
from bokeh.palettes import Turbo256

from app.export.dialog import ExportDialog, Item
from app.pages.experiments.form import ExperimentForm, readable
from app.runtime.tasks import Latest
from app.services.fold_preview import NEITHER, TESTED, TRAINS, FoldPreview, divide
from app.services.mercator import degrees, mercator
from app.services.store import Store
from app.session.selection import Selection
from app.ui.card import card, heading
from app.ui.formatting import TABLE, html_table
from app.ui.map.point_map import PointMap
from app.ui.status_line import StatusLine
from app.ui.theme import colours
from gsm3core import vocabulary as v
from gsm3core.errors import GSM3Error

_ALL = "All folds"
_FOLDS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800", "#7f7f7f")
_ROLES = {TESTED: "#d55e00", TRAINS: "#0072b2"}
_ROWS = 12


class FoldMap:
    """The folds that the form describes; they follow it as it changes.

    Parameters
    ----------
    selection, store
        Of the visitor and of the server.
    form
        What is shown; gets the area that is drawn.
    take
        Lets a visitor take it away.
    """

    def __init__(self, selection: Selection, store: Store, form: ExperimentForm, take: ExportDialog) -> None:
        self._selection, self._store, self._form = selection, store, form
        self._dividing: Latest[FoldPreview] = Latest(self._take, self._fail)
        self._division: FoldPreview | None = None
        self._corners: list[tuple[float, float]] = []
        self._title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self._waiting = StatusLine()
        self.fold = pmui.Select(
            label="Fold",
            options=[_ALL],
            value=_ALL,
            size="small",
            width=220,
            margin=(4, 12, 6, 0),
            description="One network is fitted for each fold, and tested at its sites; choose one to see which train it.",
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
        self._map.on_click(self._corner)
        self._table = pn.pane.HTML(
            stylesheets=[TABLE], margin=(6, 0, 0, 0), sizing_mode="stretch_width", css_classes=["fold-table"]
        )
        self._drawn = pn.Column(sizing_mode="stretch_width", margin=0)
        item = Item(
            title="what is held out",
            figures=lambda: {"Map": self._map.figure} if self._division is not None else {},
            tables={"Numbers": self._numbers},
            code=self._code,
            code_title="The same experiment from the command line: save this as experiment.toml, then",
            about=self._about,
        )
        self.card = card(
            take.beside(self._title, item),
            self._waiting.column,
            pn.Row(self.fold, self.draw, self.clear, margin=0),
            self._drawn,
        )
        self.redraw: Callable[[], None] = self.show
        self.fold.param.watch(lambda _: self.redraw(), "value")

    def ask(self) -> None:
        """Work out the folds that the form describes now."""
        form = self._form
        self.draw.visible = form.holdout.chosen == "custom"
        self.clear.visible = self.draw.visible and bool(self._corners)
        try:
            config = form.config()
        except GSM3Error as error:
            self._dividing.drop()
            self._fail(str(error))
            return
        dataset = form.dataset.value
        self._waiting.begin("Dividing the sites")
        self._dividing.later(lambda: divide(self._store, dataset, config))

    def _take(self, division: FoldPreview) -> None:
        self._division = division
        sites = division.sites
        networks = sorted({n for n in sites["network"] if n})
        self._form.holdout.offer(networks, [str(s) for s in sites.index], len(division.days))
        if division.problem:
            self._waiting.fail(readable(division.problem, self._form.holdout.train.label))
        else:
            self._waiting.end()
        names = [_ALL, *(f.name for f in division.folds)] if len(division.folds) > 1 else [_ALL]
        self.fold.param.update(
            options={n.replace("_", " "): n for n in names}, value=self.fold.value if self.fold.value in names else _ALL
        )  # fmt: skip
        self.fold.visible = len(names) > 1
        self.redraw()

    def _fail(self, problem: str) -> None:
        self._division = None
        self._waiting.fail(readable(problem, self._form.holdout.train.label))
        self._table.object = ""

    def show(self) -> None:
        """Draw what was worked out; ``redraw`` does it when the page is in sight."""
        division = self._division
        if division is None:
            return
        self._title.object = heading("What is held out", _about(division))
        self._table.object = _table(division)
        classes, palette, hollow = self._colours(division)
        labels = [c or hollow for c in classes]
        self._map.by_class(division.sites, classes, labels, palette, hollow=hollow)
        if not self._drawn.objects:
            self._drawn.objects = [self._map.legend, self._map.pane, self._table]

    def _colours(self, division: FoldPreview) -> tuple[list[str], dict[str, str], str]:
        if not division.folds:
            return [""] * len(division.sites), {}, "all sites"
        if division.by_days:
            both = "trains and tests, on other days"
            return [both] * len(division.sites), {both: colours(self._selection.dark).shade}, ""
        one = division.folds[0].name if len(division.folds) == 1 else self.fold.value
        if one != _ALL:
            return division.roles(one), dict(_ROLES), NEITHER
        names = [f.name.replace("_", " ") for f in division.folds]
        picked = np.linspace(0, 255, len(names)).astype(int)
        many = [Turbo256[k] for k in picked] if len(names) > len(_FOLDS) else list(_FOLDS)
        return (
            division.tested_by(),
            dict(zip(names, many, strict=False)),
            "trains in every fold, is never tested",
        )

    def _numbers(self) -> pd.DataFrame | None:
        division = self._division
        if division is None:
            return None
        table = division.sites[[v.STATION, v.NETWORK, v.REGION, v.LAT, v.LON]].assign(
            **{"tested by": division.tested_by()}
        )
        return table.assign(**{f.name: division.roles(f.name) for f in division.folds[:_ROWS]})

    def _code(self) -> str:
        try:
            config = self._form.config()
        except GSM3Error as error:
            return f"# {readable(str(error))}"
        return f"# gsm3 run experiment.toml --out {self._store.runs_folder}\n\n{config.to_toml()}"

    def _about(self) -> list[str]:
        return [f"what is held out; GSM3; dataset: {self._form.dataset.value}"]

    def _toggle(self, _: object) -> None:
        self._drawing = not self._drawing
        if self._drawing:
            self._corners = []
            self._outline()
        elif len(self._corners) >= 3:
            self._form.holdout.polygon = tuple(self._corners)
        self.draw.label = "Close the area" if self._drawing else "Draw an area"
        self.clear.visible = bool(self._corners)

    def _clear(self, _: object) -> None:
        self._corners, self._drawing = [], False
        self.draw.label, self.clear.visible = "Draw an area", False
        self._outline()
        self._form.holdout.polygon = ()

    def _corner(self, x: float, y: float) -> None:
        if self._drawing:
            lon, lat = degrees(x, y)
            self._corners = [*self._corners, (round(float(lon), 3), round(float(lat), 3))]
            self._outline()

    def _outline(self) -> None:
        x, y = mercator([c[0] for c in self._corners], [c[1] for c in self._corners])
        self._area.data = {"x": list(x), "y": list(y)}


def _about(division: FoldPreview) -> str:
    if not division.folds:
        return "The sites of the dataset. Say on the left what to hold out."
    if division.by_days:
        fold = division.folds[0]
        return f"Every site trains on {division.span(fold.train_days)} and is tested on {division.span(fold.test_days)}."
    tested = sum(int(f.test_sites.sum()) for f in division.folds)
    if len(division.folds) == 1:
        return f"{tested} sites are held out and tested, once; the others train."
    return f"{len(division.folds)} folds, {tested} of {len(division.sites)} sites tested, each by a model that has not seen it."


def _table(division: FoldPreview) -> str:
    rows = [
        f'<tr><td class="text">{escape(f.name.replace("_", " "))}</td><td>{int(f.train_sites.sum())}</td>'
        f"<td>{int(f.test_sites.sum())}</td><td>{division.span(f.train_days)}</td><td>{division.span(f.test_days)}</td></tr>"
        for f in division.folds[:_ROWS]
    ]
    if not rows:
        return ""
    more = len(division.folds) - len(rows)
    note = f"<p>And {more} more folds.</p>" if more > 0 else ""
    head = ["Fold", "Sites that train", "Sites that test", "Training days", "Test days"]
    return html_table(head, rows) + note
