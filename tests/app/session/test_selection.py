"""Selection, URL and session controller, without a server."""

from __future__ import annotations

import pytest

from app.services.run_monitor import Experiment
from app.services.run_progress import Progress
from app.session.controller import SessionController
from app.session.selection import PRODUCTS_ONLY, SITES, Selection
from app.session.url import from_query, sync_url, to_query
from gsm3core import vocabulary as v

DATASET = "bucket.zarr"


class IdleMonitor:
    """A run monitor with no active experiment, or one."""

    active = None

    def newest_active(self):
        return self.active


def start_session(store, monitor=None, **chosen):
    selection = Selection(**chosen)
    controller = SessionController(selection, store, monitor or IdleMonitor())
    controller.load()
    return selection, controller


def test_default_selection_shows_the_products(store):
    selection, _ = start_session(store)
    assert (selection.dataset, selection.run_shown, selection.product) == (DATASET, "", v.SMAP)
    assert selection.site == ""
    assert selection.site_shown in selection.evaluation.sites.index
    assert not selection.problem
    assert not selection.loading_message


def test_newest_run_is_shown_with_its_prediction(store, make_run):
    make_run("20260101-000000-a")
    newest = make_run("20260102-000000-b")
    selection, _ = start_session(store)
    assert selection.run_shown == newest.id
    assert selection.product == v.MULTITASK_LSTM


def test_products_only_is_respected(store, make_run):
    make_run("20260101-000000-a")
    selection, _ = start_session(store, run=PRODUCTS_ONLY)
    assert selection.run_shown == ""
    assert v.MULTITASK_LSTM not in selection.evaluation.products


def test_product_of_the_url_is_kept(store, make_run):
    make_run("20260101-000000-a")
    selection, _ = start_session(store, product=v.SMOS)
    assert selection.product == v.SMOS


def test_unknown_values_fall_back_to_defaults(store, make_run):
    run = make_run("20260101-000000-a")
    selection, _ = start_session(
        store, dataset="gone.nc", run="gone", product="gone", region=["Atlantis"], site="gone"
    )
    assert (selection.dataset, selection.run_shown) == (DATASET, run.id)
    assert selection.product == v.MULTITASK_LSTM
    assert selection.region == []
    assert selection.site == ""


def test_first_run_is_shown_when_finished(store, make_run):
    selection, controller = start_session(store)
    assert not controller.poll_runs()
    run = make_run("20260101-000000-a")
    assert controller.poll_runs()
    assert selection.run_shown == run.id
    assert selection.product == v.MULTITASK_LSTM
    assert not controller.poll_runs()


def test_later_run_does_not_replace_the_shown_one(store, make_run):
    first = make_run("20260101-000000-a")
    selection, controller = start_session(store)
    make_run("20260102-000000-b")
    assert controller.poll_runs()
    assert selection.run_shown == first.id


def test_chosen_product_stays_when_the_first_run_finishes(store, make_run):
    selection, controller = start_session(store)
    selection.choose_product(v.SMOS)
    make_run("20260101-000000-a")
    controller.poll_runs()
    assert selection.product == v.SMOS


def test_first_run_in_progress_is_of_the_same_dataset(store, make_run):
    monitor = IdleMonitor()
    _, controller = start_session(store, monitor)
    assert controller.first_run_in_progress() is None
    started = make_run("20260101-000000-a", finished=False)
    values = {
        "title": "",
        "holdout": "temporal",
        "message": "",
        "created": "",
        "progress": Progress(run=started.id),
    }
    monitor.active = Experiment(run=started.id, dataset=DATASET, state="running", **values)
    assert controller.first_run_in_progress() is monitor.active
    monitor.active = Experiment(run=started.id, dataset="another.nc", state="running", **values)
    assert controller.first_run_in_progress() is None


def test_show_run_opens_the_sites_page(store, make_run):
    make_run("20260101-000000-a")
    second = make_run("20260102-000000-b")
    selection, _ = start_session(store, run=PRODUCTS_ONLY, page="experiments")
    selection.show_run(second.id, DATASET)
    assert (selection.page, selection.run_shown, selection.product) == (SITES, second.id, v.MULTITASK_LSTM)


def test_empty_data_folder_explains_what_to_do(tmp_path, runs_folder):
    from app.services.store import Store

    selection, _ = start_session(Store(tmp_path / "empty", runs_folder))
    assert "There is no dataset" in selection.problem
    assert selection.evaluation is None


def test_unreadable_dataset_is_named(tmp_path, runs_folder):
    from app.services.store import Store

    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "bad.nc").write_text("not netCDF")
    selection, _ = start_session(Store(folder, runs_folder))
    assert "bad.nc cannot be read" in selection.problem
    assert not selection.loading_message


def test_region_and_metric_of_the_url_are_kept(store):
    selection, _ = start_session(store, region=["Europe"], metric="bias")
    assert (selection.region, selection.metric) == (["Europe"], "bias")
    assert selection.evaluation.sites.loc[selection.site_shown, v.REGION] == "Europe"


def test_url_round_trip():
    chosen = {
        "metric": "bias",
        "region": ["Africa_North", "Asia"],
        "site": "net|1 & 2",
        "product": "SoMo.ml",
        "theme": "dark",
    }
    query = to_query(Selection(**chosen))
    assert from_query(f"?{query}") == (chosen, [])


def test_defaults_are_not_in_the_url():
    assert to_query(Selection()) == ""


def test_shown_run_is_in_the_url(store, make_run):
    run = make_run("20260101-000000-a")
    selection, _ = start_session(store)
    assert f"run={run.id}" in to_query(selection)


def test_numeric_site_id_stays_a_string():
    values, invalid = from_query("?site=1023&metric=RMSE")
    assert values == {"site": "1023", "metric": "RMSE"}
    assert not invalid


@pytest.mark.parametrize("query", ["metric=RSME", "colour=red", "page=admin", "theme=pink"])
def test_invalid_url_values_are_returned(query):
    assert from_query(query) == ({}, [query])


def test_url_follows_the_selection():
    class Location:
        search = ""

    location, selection = Location(), Selection()
    sync_url(selection, location)
    selection.metric = "ubRMSE"
    assert location.search == "?metric=ubRMSE"
    selection.metric = "R"
    assert location.search == ""


def test_online_map_needs_a_reachable_server(monkeypatch):
    from bokeh.plotting import figure

    from app.ui.map import tile_source as tiles
    from app.ui.map.tile_layer import TileLayer

    monkeypatch.setenv(tiles.OFFLINE, "1")
    assert not tiles.probe()
    selection = Selection(background="online")
    layer = TileLayer(selection, figure())
    assert not layer.switch.visible
    assert layer.layer is None  # a link made on a machine with network access

    monkeypatch.setattr(tiles, "is_reachable", lambda: True)
    fig = figure()
    layer = TileLayer(selection, fig)
    assert layer.switch.visible and layer.switch.value
    assert layer.layer in fig.renderers
    assert "openstreetmap.org" in layer.layer.tile_source.url
    assert "OpenStreetMap" in layer.layer.tile_source.attribution
    layer.switch.value = False
    assert selection.background == "outline"
    assert layer.layer is None and not fig.renderers


def test_probe_accepts_only_an_image(monkeypatch):
    import io
    from email.message import Message

    from app.ui.map import tile_source as tiles

    class Response(io.BytesIO):
        status = 200
        headers = Message()

    Response.headers["Content-Type"] = "image/png"
    requested = []
    monkeypatch.delenv(tiles.OFFLINE, raising=False)
    monkeypatch.setattr(
        tiles.urllib.request, "urlopen", lambda r, timeout: requested.append(r.full_url) or Response()
    )
    assert tiles.probe() and tiles.is_reachable()
    assert requested == ["https://tile.openstreetmap.org/0/0/0.png"]
    Response.headers.replace_header("Content-Type", "text/html")  # the login page of a public network
    assert not tiles.probe() and not tiles.is_reachable()

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(tiles.urllib.request, "urlopen", refuse)
    assert not tiles.probe()
