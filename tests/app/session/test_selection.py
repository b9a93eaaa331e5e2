"""The selection, its address and what a visitor is shown; without a server."""

from __future__ import annotations

import pytest

from app.services.run_monitor import Experiment
from app.services.run_progress import Progress
from app.session import url as address
from app.session.controller import SessionController
from app.session.selection import PRODUCTS_ONLY, SITES, Selection
from gsm3core import vocabulary as v

DATASET = "bucket.zarr"


class NoActivity:
    """An activity in which nothing, or one experiment, is under way."""

    active = None

    def newest_active(self):
        return self.active


def visit(store, activity=None, **chosen):
    selection = Selection(**chosen)
    visitor = SessionController(selection, store, activity or NoActivity())
    visitor.load()
    return selection, visitor


def test_a_first_visit_shows_the_products(store):
    selection, _ = visit(store)
    assert (selection.dataset, selection.run_shown, selection.product) == (DATASET, "", v.SMAP)
    assert selection.site == ""
    assert selection.site_shown in selection.evaluation.sites.index
    assert not selection.problem
    assert not selection.working_on


def test_the_newest_run_is_shown_with_its_own_prediction(store, make_run):
    make_run("20260101-000000-a")
    newest = make_run("20260102-000000-b")
    selection, _ = visit(store)
    assert selection.run_shown == newest.id
    assert selection.product == v.MULTITASK_LSTM


def test_products_only_is_respected(store, make_run):
    make_run("20260101-000000-a")
    selection, _ = visit(store, run=PRODUCTS_ONLY)
    assert selection.run_shown == ""
    assert v.MULTITASK_LSTM not in selection.evaluation.products


def test_a_product_from_the_address_is_kept(store, make_run):
    make_run("20260101-000000-a")
    selection, _ = visit(store, product=v.SMOS)
    assert selection.product == v.SMOS


def test_what_does_not_exist_falls_back(store, make_run):
    run = make_run("20260101-000000-a")
    selection, _ = visit(
        store, dataset="gone.nc", run="gone", product="gone", region=["Atlantis"], site="gone"
    )
    assert (selection.dataset, selection.run_shown) == (DATASET, run.id)
    assert selection.product == v.MULTITASK_LSTM
    assert selection.region == []
    assert selection.site == ""


def test_the_first_run_appears_when_it_is_done(store, make_run):
    selection, visitor = visit(store)
    assert not visitor.look()
    run = make_run("20260101-000000-a")
    assert visitor.look()
    assert selection.run_shown == run.id
    assert selection.product == v.MULTITASK_LSTM
    assert not visitor.look()


def test_a_later_run_does_not_take_the_place_of_what_is_shown(store, make_run):
    first = make_run("20260101-000000-a")
    selection, visitor = visit(store)
    make_run("20260102-000000-b")
    assert visitor.look()
    assert selection.run_shown == first.id


def test_a_chosen_product_stays_when_the_first_run_appears(store, make_run):
    selection, visitor = visit(store)
    selection.choose_product(v.SMOS)
    make_run("20260101-000000-a")
    visitor.look()
    assert selection.product == v.SMOS


def test_the_banner_is_for_the_first_run_on_this_dataset(store, make_run):
    activity = NoActivity()
    _, visitor = visit(store, activity)
    assert visitor.training_first_run() is None
    started = make_run("20260101-000000-a", finished=False)
    values = {
        "title": "",
        "holdout": "temporal",
        "message": "",
        "created": "",
        "progress": Progress(run=started.id),
    }
    activity.active = Experiment(run=started.id, dataset=DATASET, state="running", **values)
    assert visitor.training_first_run() is activity.active
    activity.active = Experiment(run=started.id, dataset="another.nc", state="running", **values)
    assert visitor.training_first_run() is None


def test_show_run_leads_to_the_map(store, make_run):
    make_run("20260101-000000-a")
    second = make_run("20260102-000000-b")
    selection, _ = visit(store, run=PRODUCTS_ONLY, page="experiments")
    selection.show_run(second.id, DATASET)
    assert (selection.page, selection.run_shown, selection.product) == (SITES, second.id, v.MULTITASK_LSTM)


def test_an_empty_folder_says_what_to_do(tmp_path, runs_folder):
    from app.services.store import Store

    selection, _ = visit(Store(tmp_path / "empty", runs_folder))
    assert "There is no dataset" in selection.problem
    assert selection.evaluation is None


def test_a_broken_dataset_says_what_is_wrong(tmp_path, runs_folder):
    from app.services.store import Store

    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "bad.nc").write_text("not netCDF")
    selection, _ = visit(Store(folder, runs_folder))
    assert "bad.nc cannot be read" in selection.problem
    assert not selection.working_on


def test_a_run_of_another_dataset_can_be_chosen_by_region_and_metric(store):
    selection, _ = visit(store, region=["Europe"], metric="bias")
    assert (selection.region, selection.metric) == (["Europe"], "bias")
    assert selection.evaluation.sites.loc[selection.site_shown, v.REGION] == "Europe"


def test_address_there_and_back():
    chosen = {
        "metric": "bias",
        "region": ["Africa_North", "Asia"],
        "site": "net|1 & 2",
        "product": "SoMo.ml",
        "theme": "dark",
    }
    query = address.to_query(Selection(**chosen))
    assert address.from_query(f"?{query}") == (chosen, [])


def test_defaults_are_not_in_the_address():
    assert address.to_query(Selection()) == ""


def test_the_run_that_is_shown_is_in_the_address(store, make_run):
    run = make_run("20260101-000000-a")
    selection, _ = visit(store)
    assert f"run={run.id}" in address.to_query(selection)


def test_a_site_called_by_a_number_stays_a_name():
    values, unknown = address.from_query("?site=1023&metric=RMSE")
    assert values == {"site": "1023", "metric": "RMSE"}
    assert not unknown


@pytest.mark.parametrize("query", ["metric=RSME", "colour=red", "page=admin", "theme=pink"])
def test_what_an_address_gets_wrong_is_named(query):
    assert address.from_query(query) == ({}, [query])


def test_the_address_follows():
    class Location:
        search = ""

    location, selection = Location(), Selection()
    address.follow(selection, location)
    selection.metric = "ubRMSE"
    assert location.search == "?metric=ubRMSE"
    selection.metric = "R"
    assert location.search == ""


def test_the_online_map_is_offered_only_where_it_is_reached(monkeypatch):
    from bokeh.plotting import figure

    from app.ui.map import tile_source as tiles
    from app.ui.map.tile_layer import TileLayer

    monkeypatch.setenv(tiles.OFFLINE, "1")
    assert not tiles.look()
    selection = Selection(background="online")
    offered = TileLayer(selection, figure())
    assert not offered.switch.visible
    assert offered.layer is None  # a link from somewhere with a network

    monkeypatch.setattr(tiles, "reachable", lambda: True)
    fig = figure()
    offered = TileLayer(selection, fig)
    assert offered.switch.visible and offered.switch.value
    assert offered.layer in fig.renderers
    assert "openstreetmap.org" in offered.layer.tile_source.url
    assert "OpenStreetMap" in offered.layer.tile_source.attribution
    offered.switch.value = False
    assert selection.background == "outline"
    assert offered.layer is None and not fig.renderers


def test_a_look_that_gets_a_picture_reaches_the_map_and_one_that_does_not_does_not(monkeypatch):
    import io
    from email.message import Message

    from app.ui.map import tile_source as tiles

    class Answer(io.BytesIO):
        status = 200
        headers = Message()

    Answer.headers["Content-Type"] = "image/png"
    asked = []
    monkeypatch.delenv(tiles.OFFLINE, raising=False)
    monkeypatch.setattr(
        tiles.urllib.request, "urlopen", lambda r, timeout: asked.append(r.full_url) or Answer()
    )
    assert tiles.look() and tiles.reachable()
    assert asked == ["https://tile.openstreetmap.org/0/0/0.png"]
    Answer.headers.replace_header("Content-Type", "text/html")  # the page of a hotel's network
    assert not tiles.look() and not tiles.reachable()

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(tiles.urllib.request, "urlopen", refuse)
    assert not tiles.look()
