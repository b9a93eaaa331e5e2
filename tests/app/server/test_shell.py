"""Page shell and views: built without torch or network, bound to the selection, released after use."""

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

from app.pages.experiments.form import ExperimentForm, readable_error
from app.pages.sites.boxplots import by_group, by_product
from app.pages.sites.error_map import SiteMap
from app.pages.sites.page import sites_page
from app.pages.sites.series import SeriesPlot
from app.pages.sites.table import SiteTable
from app.runtime.session_expiry import expire_after_disconnect
from app.server import serve as main
from app.server.shell import make_page
from app.services.run_monitor import RunMonitor
from app.session.controller import SessionController
from app.session.selection import Selection
from app.ui.map.basemap import outline
from app.ui.theme import SCALES, product_colour
from app.ui.workarounds.model_freeze import batched_models
from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError, GSM3Error
from gsm3core.geography.mercator import mercator
from gsm3core.metrics import METRICS

DATASET = "bucket.zarr"
TEST, TRAINING = f"{v.MULTITASK_LSTM}, test days", f"{v.MULTITASK_LSTM}, training days"

# Panel 1.9.4 uses a pandas argument that pandas 4 removes.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


class EmptyQueue:
    def tick(self):
        pass

    def jobs(self):
        return []


@pytest.fixture
def monitor(store):
    main.configure_panel()
    monitor = RunMonitor(store, EmptyQueue())
    monitor.poll()
    return monitor


@pytest.fixture
def selection(store, monitor):
    selection = Selection()
    SessionController(selection, store, monitor).load()
    return selection


def test_importing_the_app_does_not_load_torch():
    code = "import sys, app.server.serve; print([m for m in ('torch', 'geoviews', 'datashader') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]", found.stderr


def test_page_ignores_the_process_wide_busy_flag(store, monitor):
    before = len(pn.state.param.watchers.get("busy", {}).get("value", []))
    page = make_page(store, monitor)
    assert len(pn.state.param.watchers.get("busy", {}).get("value", [])) == before
    assert page.busy is False


def test_style_sheets_are_local_after_session_expiry(store, monitor):
    # As for a browser whose session has expired: a new document without the template.
    document = Document()
    with set_curdoc(document):
        make_page(store, monitor).server_doc(document)
    urls = [model.url for model in document.models if isinstance(model, ImportedStyleSheet)]
    assert urls
    assert not [url for url in urls if "//" in url]


def test_discarded_pages_are_garbage_collected(store, monitor):
    make_page(store, monitor)  # fills the libraries' own caches
    references = []
    for _ in range(3):
        page = make_page(store, monitor)
        references.append(weakref.ref(page))
        del page
    gc.collect()
    assert sum(ref() is not None for ref in references) == 0


def test_map_shows_the_selected_metric(selection):
    view = SiteMap(selection)
    for metric in METRICS:
        selection.metric = metric
        shown = view._scored.data
        expected = selection.evaluation.table(selection.product)[metric].dropna()
        assert shown["site"] == list(expected.index)
        np.testing.assert_array_equal(shown["value"], expected.to_numpy())
        assert (view._mapper.low, view._mapper.high) == (SCALES[metric].low, SCALES[metric].high)


def test_sites_without_score_are_hollow_with_reason(selection):
    view = SiteMap(selection)
    selection.product = v.SMOS
    hollow = dict(zip(view._unscored.data["site"], view._unscored.data["reason"], strict=True))
    assert set(hollow) == {"S003", "S005"}
    assert all(hollow.values())


def test_map_zooms_to_the_selected_region(selection):
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


def test_map_click_selects_the_nearest_site(selection):
    view = SiteMap(selection)
    row = selection.evaluation.sites.iloc[2]

    class Tap:
        x, y = row["x"] + 5.0, row["y"]

    view._click(Tap())
    assert selection.site == selection.evaluation.sites.index[2]
    assert view._selected.data["x"] == [row["x"]]


def test_boxplots_show_medians_and_site_counts(selection):
    boxes = by_product(selection)
    valid = {p: selection.evaluation.values(p, "R") for p in selection.evaluation.products}
    shown = dict(zip(boxes._box_source.data["name"], boxes._box_source.data["median"], strict=True))
    for product, values in valid.items():
        assert shown[product] == pytest.approx(np.nanmedian(values))
        assert f"{product} ({np.isfinite(values).sum()})" in boxes.figure.y_range.factors


def test_small_groups_are_dots_not_boxes(selection):
    boxes = by_group(selection)
    assert len(selection.evaluation.sites) == 12  # three regions of four
    assert boxes._box_source.data["name"] == []
    assert (
        len(boxes._dot_source.data["value"])
        == np.isfinite(selection.evaluation.values(selection.product, "R")).sum()
    )


def test_series_separates_test_and_training_days(store, selection, make_run):
    run = make_run("20260101-000000-a")
    plot = SeriesPlot(selection)
    series = store.series(DATASET, run.id, "S001")
    plot.show(series)
    test, training = plot._sources[TEST].data["value"], plot._sources[TRAINING].data["value"]
    np.testing.assert_array_equal(np.isfinite(test), series.in_test)
    overlap = np.isfinite(test) & np.isfinite(training)
    assert overlap.sum() == 1  # so that the line does not break
    assert plot._test.visible
    assert plot._test.left == series.time[0]


def test_series_without_a_run(store, selection):
    plot = SeriesPlot(selection)
    plot.show(store.series(DATASET, "", "S001"))
    assert not plot._test.visible
    assert TEST not in plot.legend.options


def test_dark_theme_changes_the_colours(selection):
    view, boxes = SiteMap(selection), by_product(selection)
    before = view._basemap._coast.glyph.line_color, boxes._box_source.data["colour"][0]
    selection.theme = "dark"
    assert before[0] != view._basemap._coast.glyph.line_color
    assert (
        boxes._box_source.data["colour"][0]
        == product_colour(boxes._box_source.data["name"][0], dark=True)
        != before[1]
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", "0", "Epochs: .*greater than or equal to 1.*given: 0"),
        ("epochs", "ten", "Epochs: 'ten' is not a whole number"),
        ("folds", "1", "Folds: .*greater than or equal to 2"),
    ],
)
def test_form_explains_invalid_values(selection, store, monitor, field, value, message):
    form = ExperimentForm(selection, store, monitor)
    form.holdout.name_choice.value = "random_spatial"
    getattr(form.holdout if field == "folds" else form, field).value_input = value
    with pytest.raises(ConfigError) as error:
        form.config()
    import re

    assert re.search(message, readable_error(str(error.value)))


def test_form_makes_a_configuration(selection, store, monitor):
    form = ExperimentForm(selection, store, monitor)
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


def test_dry_bias_is_brown():
    dry, wet = SCALES["bias"].palette[0], SCALES["bias"].palette[-1]
    assert int(dry[1:3], 16) > int(dry[5:7], 16)  # more red than blue
    assert int(wet[5:7], 16) > int(wet[1:3], 16)


def test_warm_up_scores_the_default_dataset(store, monitor):
    messages: list[str] = []
    main.warm_up(store, monitor, messages.append)
    assert store.is_evaluated(DATASET, "", v.SM_INSITU)
    assert any(DATASET in text for text in messages)


def test_port_in_use_fails_before_writing_data(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(GSM3Error, match=rf"Cannot listen on 127\.0\.0\.1:{port}.*--port"):
            main.serve(port=port, data=tmp_path / "data", runs=tmp_path / "runs", show=False)
    assert not list(tmp_path.iterdir())


def test_empty_views_are_not_on_the_page(store, monitor, monkeypatch):
    # Bokeh fails in the browser if a hidden plot gets data before its first render.
    tasks = []
    monkeypatch.setattr(
        "app.runtime.tasks.LatestTask.run_in_background", lambda self, work: tasks.append((self, work))
    )
    selection = Selection()
    controller = SessionController(selection, store, monitor)
    controller.load()
    part = sites_page(selection, controller)
    assert not part.main.select(pn.pane.Bokeh)
    assert not part.main.select(pn.widgets.Tabulator)
    part.main.visible = False
    for task, work in tasks:
        task.run_now(work)
    assert selection.evaluation is not None
    assert not part.main.select(pn.pane.Bokeh)
    part.main.visible = True
    assert len(part.main.select(pn.pane.Bokeh)) >= 3


def test_change_and_its_callbacks_are_one_batch(selection):
    steps: list[str] = []

    @contextmanager
    def recorded():
        steps.append("begin")
        yield
        steps.append("end")

    views = SiteMap(selection), by_product(selection)
    selection.batched_updates = recorded
    steps.clear()
    selection.param.watch(lambda _: steps.append("a view"), "metric")
    selection.choose_metric("bias")
    assert steps[0] == "begin"
    assert steps[-1] == "end"
    assert "a view" in steps
    assert views[0]._mapper.tags[0] == "bias"


def test_metric_change_patches_only_the_values(selection):
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


def test_metric_change_resets_the_table_order(selection):
    view = SiteTable(selection)
    view.table.param.update(sorters=[{"field": "station", "dir": "asc"}], page=1)
    selection.choose_metric("RMSE")
    assert view.table.sorters == []
    rmse = view.table.value["RMSE"].dropna().to_numpy()
    np.testing.assert_array_equal(rmse, np.sort(rmse)[::-1])


def test_new_lines_are_sent_in_their_final_state(store, selection):
    """The state a line was sent in, with the changes sent afterwards, is its state on the server."""
    plot, document = SeriesPlot(selection), Document()
    document.add_root(plot.figure)
    received: dict[str, tuple[bool, float]] = {}

    def browser(event):
        if event.attr == "renderers":
            for line in event.new:
                received.setdefault(line.id, (line.visible, getattr(line.glyph, "line_width", None)))
        elif event.attr == "visible" and event.model.id in received:
            received[event.model.id] = (event.new, received[event.model.id][1])

    document.on_change(browser)
    plot.show(store.series(DATASET, "", "S001"))
    expected = {r.id: (r.visible, getattr(r.glyph, "line_width", None)) for r in plot.figure.renderers}
    assert received == expected
    assert any(visible for visible, _ in received.values())


def test_model_freeze_ends_after_an_error():
    document = Document()
    with pytest.raises(ZeroDivisionError), batched_models(document):
        1 / 0  # noqa: B018
    added = figure()
    document.add_root(added)
    assert added.document is document
    assert document.callbacks.hold_value is None


def test_selecting_a_site_creates_no_models(store, selection):
    # Every new or replaced model makes Bokeh walk the whole document.
    plot, document = SeriesPlot(selection), Document()
    plot.show(store.series(DATASET, "", "S001"))
    for plotted in (plot.figure, plot.precipitation.figure, plot.days.figure):
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
def test_session_expires_unless_it_reconnects(connections, expires):
    session, document = Session(connections), Document()
    document._session_context = lambda: SimpleNamespace(session=session, destroyed=False)

    async def disconnect():
        expire_after_disconnect(document, grace=0.01)
        document.callbacks.trigger_event(ConnectionLost())
        assert not session.expires
        await asyncio.sleep(0.1)

    # In a thread: a browser test before this one leaves an event loop running here.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, disconnect()).result()
    assert session.expires == expires
