"""The page is built, follows the selection, leaves nothing behind, and needs neither torch nor a network."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import panel as pn
import pytest
from bokeh.document import Document
from bokeh.document.events import ColumnsPatchedEvent, DocumentPatchedEvent
from bokeh.events import ConnectionLost
from bokeh.models import ImportedStyleSheet
from bokeh.plotting import figure
from panel.io.state import set_curdoc

from app.pages.experiments.form import ExperimentForm, readable
from app.pages.sites.boxplots import by_group, by_product
from app.pages.sites.error_map import SiteMap
from app.pages.sites.page import sites
from app.pages.sites.series import SeriesPlot
from app.pages.sites.table import SiteTable
from app.runtime.batching import batched_models
from app.runtime.session_expiry import expire_after_disconnect
from app.server import serve as main
from app.server.shell import make_page
from app.services.mercator import mercator
from app.services.run_monitor import RunMonitor
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.map.basemap import outline
from app.ui.theme import SCALES, product_colour
from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError, GSM3Error
from gsm3core.metrics import METRICS

DATASET = "bucket.zarr"
TEST, TRAINING = f"{v.MULTITASK_LSTM}, test days", f"{v.MULTITASK_LSTM}, training days"

# Panel 1.9.4 calls pandas as pandas 4 will not let it.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


class Queue:
    def tick(self):
        pass

    def jobs(self):
        return []


@pytest.fixture
def activity(store):
    main.prepare()
    activity = RunMonitor(store, Queue())
    activity.look()
    return activity


@pytest.fixture
def selection(store, activity):
    selection = Selection()
    SessionController(selection, store, activity).load()
    return selection


def test_importing_the_app_does_not_load_torch():
    code = "import sys, app.server.serve; print([m for m in ('torch', 'geoviews', 'datashader') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]", found.stderr


def test_the_page_does_not_follow_the_busy_flag_of_the_process(store, activity):
    before = len(pn.state.param.watchers.get("busy", {}).get("value", []))
    page = make_page(store, activity)
    assert len(pn.state.param.watchers.get("busy", {}).get("value", [])) == before
    assert page.busy is False


def test_no_style_sheet_comes_from_elsewhere(store, activity):
    # As for a browser whose session has expired: the page is made again, without its HTML.
    document = Document()
    with set_curdoc(document):
        make_page(store, activity).server_doc(document)
    addresses = [model.url for model in document.models if isinstance(model, ImportedStyleSheet)]
    assert addresses
    assert not [url for url in addresses if "//" in url]


def test_a_page_that_is_dropped_is_forgotten(store, activity):
    make_page(store, activity)  # fills what the libraries keep for themselves
    seen = []
    for _ in range(3):
        page = make_page(store, activity)
        seen.append(weakref.ref(page))
        del page
    gc.collect()
    assert sum(ref() is not None for ref in seen) == 0


def test_map_shows_the_metric(selection):
    view = SiteMap(selection)
    for metric in METRICS:
        selection.metric = metric
        shown = view._scored.data
        expected = selection.evaluation.table(selection.product)[metric].dropna()
        assert shown["site"] == list(expected.index)
        np.testing.assert_array_equal(shown["value"], expected.to_numpy())
        assert (view._mapper.low, view._mapper.high) == (SCALES[metric].low, SCALES[metric].high)


def test_sites_without_a_score_are_hollow_with_the_reason(selection):
    view = SiteMap(selection)
    selection.product = v.SMOS
    hollow = dict(zip(view._unscored.data["site"], view._unscored.data["reason"], strict=True))
    assert set(hollow) == {"S003", "S005"}
    assert all(hollow.values())


def test_map_goes_to_the_region(selection):
    view = SiteMap(selection)
    selection.region = ["Europe"]
    (x0, x1), (y0, y1) = view._extent.data["x"], view._extent.data["y"]
    inside = selection.evaluation.table(selection.product).query("region == 'Europe'")
    assert (
        x0 < inside["x"].min()
        and inside["x"].max() < x1
        and y0 < inside["y"].min()
        and inside["y"].max() < y1
    )
    assert x1 - x0 < 4e6
    assert set(view._scored.data["region"]) == {"Europe"}


def test_a_click_selects_the_nearest_site(selection):
    view = SiteMap(selection)
    row = selection.evaluation.sites.iloc[2]

    class Tap:
        x, y = row["x"] + 5.0, row["y"]

    view._click(Tap())
    assert selection.site == selection.evaluation.sites.index[2]
    assert view._chosen.data["x"] == [row["x"]]


def test_boxes_hold_the_medians(selection):
    boxes = by_product(selection)
    valid = {p: selection.evaluation.values(p, "R") for p in selection.evaluation.products}
    shown = dict(zip(boxes._boxes.data["name"], boxes._boxes.data["median"], strict=True))
    for product, values in valid.items():
        assert shown[product] == pytest.approx(np.nanmedian(values))
        assert f"{product} ({np.isfinite(values).sum()})" in boxes.figure.y_range.factors


def test_a_few_sites_are_dots_not_a_box(selection):
    boxes = by_group(selection)
    assert len(selection.evaluation.sites) == 12  # three regions of four
    assert boxes._boxes.data["name"] == []
    assert (
        len(boxes._dots.data["value"])
        == np.isfinite(selection.evaluation.values(selection.product, "R")).sum()
    )


def test_series_tell_test_days_from_training_days(store, selection, make_run):
    run = make_run("20260101-000000-a")
    plot = SeriesPlot(selection)
    series = store.series(DATASET, run.id, "S001")
    plot.show(series)
    test, training = plot._lines[TEST].data["value"], plot._lines[TRAINING].data["value"]
    np.testing.assert_array_equal(np.isfinite(test), series.in_test)
    overlap = np.isfinite(test) & np.isfinite(training)
    assert overlap.sum() == 1  # so that the line does not break
    assert plot._test.visible
    assert plot._test.left == series.time[0]


def test_series_without_a_run_or_rain(store, selection):
    plot = SeriesPlot(selection)
    plot.show(store.series(DATASET, "", "S001"))
    assert not plot._test.visible
    assert TEST not in plot.legend.options


def test_dark_page_changes_the_colours(selection):
    view, boxes = SiteMap(selection), by_product(selection)
    before = view._basemap._coast.glyph.line_color, boxes._boxes.data["colour"][0]
    selection.theme = "dark"
    assert before[0] != view._basemap._coast.glyph.line_color
    assert (
        boxes._boxes.data["colour"][0] == product_colour(boxes._boxes.data["name"][0], dark=True) != before[1]
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", "0", "Epochs: .*greater than or equal to 1.*given: 0"),
        ("epochs", "ten", "Epochs: 'ten' is not a whole number"),
        ("folds", "1", "Folds: .*greater than or equal to 2"),
    ],
)
def test_the_form_explains_a_bad_value(selection, store, activity, field, value, message):
    form = ExperimentForm(selection, store, activity)
    form.holdout.name_choice.value = "random_spatial"
    getattr(form.holdout if field == "folds" else form, field).value_input = value
    with pytest.raises(ConfigError) as error:
        form.config()
    import re

    assert re.search(message, readable(str(error.value)))


def test_the_form_makes_a_configuration(selection, store, activity):
    form = ExperimentForm(selection, store, activity)
    form.holdout.name_choice.value, form.title.value_input = "random_spatial", " Mine "
    form.holdout.folds.value_input, form.epochs.value_input = "3", "4"
    config = form.config()
    assert (config.holdout.name, config.holdout.folds, config.training.epochs) == ("random_spatial", 3, 4)
    assert config.title == "Mine"
    assert config.data.dataset == str(store.data / DATASET)


def test_mercator_and_the_coast():
    x, y = mercator([0.0, 180.0], [0.0, 45.0])
    np.testing.assert_allclose(x, [0, 20_037_508.34], atol=1)
    np.testing.assert_allclose(y, [0, 5_621_521.49], atol=1)
    coast_x, coast_y = outline("coast")
    assert np.isnan(coast_y).any()
    assert np.nanmin(coast_y) > -9e6  # no Antarctica
    assert len(coast_x) == len(coast_y)


def test_bias_is_brown_where_the_product_is_dry():
    dry, wet = SCALES["bias"].palette[0], SCALES["bias"].palette[-1]
    assert int(dry[1:3], 16) > int(dry[5:7], 16)  # more red than blue
    assert int(wet[5:7], 16) > int(wet[1:3], 16)


def test_warm_up_reads_what_the_first_visitor_needs(store, activity):
    said: list[str] = []
    main.warm_up(store, activity, said.append)
    assert store.is_evaluated(DATASET, "", v.SM_INSITU)
    assert any(DATASET in text for text in said)


def test_a_port_in_use_is_said_before_anything_is_made(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(GSM3Error, match=rf"cannot listen on 127\.0\.0\.1:{port}.*--port"):
            main.serve(port=port, data=tmp_path / "data", runs=tmp_path / "runs", show=False)
    assert not list(tmp_path.iterdir())


def test_a_view_with_nothing_to_show_is_not_on_the_page(store, activity, monkeypatch):
    # Hidden plots that get their data before they were ever drawn fail in the browser.
    waiting = []
    monkeypatch.setattr("app.runtime.tasks.Latest.later", lambda self, work: waiting.append((self, work)))
    selection = Selection()
    visitor = SessionController(selection, store, activity)
    visitor.load()
    part = sites(selection, visitor)
    assert not part.main.select(pn.pane.Bokeh)
    assert not part.main.select(pn.widgets.Tabulator)
    part.main.visible = False
    for latest, work in waiting:
        latest.now(work)
    assert selection.evaluation is not None
    assert not part.main.select(pn.pane.Bokeh)
    part.main.visible = True
    assert len(part.main.select(pn.pane.Bokeh)) >= 3


def test_a_change_and_what_follows_from_it_is_one_step(selection):
    steps: list[str] = []

    @contextmanager
    def noted():
        steps.append("begin")
        yield
        steps.append("end")

    views = SiteMap(selection), by_product(selection)
    selection.batched_updates = noted
    steps.clear()
    selection.param.watch(lambda _: steps.append("a view"), "metric")
    selection.choose_metric("bias")
    assert steps[0] == "begin"
    assert steps[-1] == "end"
    assert "a view" in steps
    assert views[0]._mapper.tags[0] == "bias"


def test_another_score_sends_numbers_alone(selection):
    view, document = SiteMap(selection), Document()
    document.add_root(view.figure)
    events: list[DocumentPatchedEvent] = []
    document.on_change(events.append)
    selection.choose_metric("bias")
    of_sites = [e for e in events if getattr(e, "column_source", None) is view._scored]
    of_sites += [e for e in events if getattr(e, "model", None) is view._scored]
    assert [type(e) for e in of_sites] == [ColumnsPatchedEvent]
    patched = {name: patches[0][1] for name, patches in of_sites[0].patches.items()}
    assert set(patched) <= {"value", "lower", "upper"}
    expected = selection.evaluation.table(selection.product)["bias"].dropna()
    np.testing.assert_array_equal(patched["value"], expected.to_numpy())


def test_another_score_begins_with_its_worst_however_the_table_was_sorted(selection):
    view = SiteTable(selection)
    view.table.param.update(sorters=[{"field": "station", "dir": "asc"}], page=1)
    selection.choose_metric("RMSE")
    assert view.table.sorters == []
    rmse = view.table.value["RMSE"].dropna().to_numpy()
    np.testing.assert_array_equal(rmse, np.sort(rmse)[::-1])


def test_a_line_is_sent_as_it_is_in_the_end(store, selection):
    """What the browser was told of every line, when it was told of it, and what changed afterwards."""
    plot, document = SeriesPlot(selection), Document()
    document.add_root(plot.figure)
    told: dict[str, tuple[bool, float]] = {}

    def browser(event):
        if event.attr == "renderers":
            for line in event.new:
                told.setdefault(line.id, (line.visible, getattr(line.glyph, "line_width", None)))
        elif event.attr == "visible" and event.model.id in told:
            told[event.model.id] = (event.new, told[event.model.id][1])

    document.on_change(browser)
    plot.show(store.series(DATASET, "", "S001"))
    in_the_end = {r.id: (r.visible, getattr(r.glyph, "line_width", None)) for r in plot.figure.renderers}
    assert told == in_the_end
    assert any(visible for visible, _ in told.values())


def test_an_error_while_models_are_made_leaves_the_page_as_usable_as_before():
    document = Document()
    with pytest.raises(ZeroDivisionError), batched_models(document):
        1 / 0  # noqa: B018
    added = figure()
    document.add_root(added)
    assert added.document is document
    assert document.callbacks.hold_value is None


def test_a_new_site_adds_no_models(store, selection):
    # A new model, or one that is replaced, lets Bokeh walk the whole document.
    plot, document = SeriesPlot(selection), Document()
    plot.show(store.series(DATASET, "", "S001"))
    for plotted in (plot.figure, plot.rain.figure, plot.days.figure):
        document.add_root(plotted)
    walks: list[int] = []
    document.models.invalidate = lambda: walks.append(1)
    plot.show(store.series(DATASET, "", "S002"))
    assert not walks


class Session:
    def __init__(self, connections: int) -> None:
        self.connection_count, self.expires = connections, False

    def request_expiration(self) -> None:
        self.expires = True


@pytest.mark.parametrize(("connections", "expires"), [(0, True), (1, False)])
def test_who_leaves_is_forgotten_unless_he_comes_back(connections, expires):
    session, document = Session(connections), Document()
    document._session_context = lambda: SimpleNamespace(session=session, destroyed=False)

    async def leave():
        expire_after_disconnect(document, grace=0.01)
        document.callbacks.trigger_event(ConnectionLost())
        assert not session.expires
        await asyncio.sleep(0.1)

    # In a thread of its own: a browser's test before it leaves a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, leave()).result()
    assert session.expires == expires
