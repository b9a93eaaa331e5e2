"""Scaling, masks and sensor depth of a session: what is loaded, the URL, the sidebar and its reasons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import param
import pytest

from app.services.store import Store
from app.session.controller import SessionController
from app.session.selection import COMPARE, DATA, EXPERIMENTS, OVERVIEW, Selection
from app.session.url import from_query, to_query
from app.ui.banner import conditions_message
from app.ui.filter_panel import FilterPanel
from app.ui.sidebar import Sidebar
from gsm3core import score_products, select_sites
from gsm3core import vocabulary as v
from gsm3core.schema import open_dataset, save_dataset
from support.report_runs import world


class IdleMonitor:
    def newest_active(self) -> None:
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One dataset with soil temperature and two sensor depths, and one without."""
    folder, ds = tmp_path_factory.mktemp("data"), world(24)
    save_dataset(ds, folder / "without.nc")
    cold = np.random.default_rng(4).random((24, 400)) < 0.2
    ds["soil_temperature"] = (
        ("site", "time"), np.where(cold, 270, 285).astype(np.float32), {"units": "K", "source": "simulated for tests"},
    )  # fmt: skip
    depth = ("site", np.where(np.arange(24) % 2, 0.05, 0.1), {"units": "m"})
    save_dataset(ds.assign_coords(depth=depth), folder / "with.nc")
    return folder


def start(folder: Path, **chosen: object) -> tuple[Selection, SessionController]:
    selection = Selection(**({"dataset": "with.nc"} | chosen))
    controller = SessionController(selection, Store(folder, folder / "runs"), IdleMonitor())
    controller.load()
    assert selection.problem == ""
    return selection, controller


def test_a_change_loads_the_scores_of_the_selection(folder: Path) -> None:
    s, _ = start(folder)
    assert s.evaluation.conditions == ""
    s.scaling = "cdf"
    s.masks = ["frozen"]
    expected = score_products(open_dataset(folder / "with.nc"), scaling="cdf", masks=["frozen"])
    for product in s.evaluation.products:
        values = s.evaluation.values(product, "RMSE")
        np.testing.assert_allclose(values, expected["RMSE"].sel(product=product).values)
    assert s.evaluation.conditions == (
        ", without days of soil colder than 4 °C, scaled to in situ by CDF matching (bias is 0 by construction)"
    )
    s.reset_filters()
    assert s.evaluation.masks == () and s.evaluation.scaling == "cdf"


def test_the_url_keeps_the_selection(folder: Path) -> None:
    s, _ = start(folder, scaling="mean_std", masks=["frozen"], depth=(0.0, 0.06))
    values, invalid = from_query(to_query(s))
    assert not invalid and (values["scaling"], values["masks"], values["depth"]) == (
        "mean_std",
        ["frozen"],
        (0.0, 0.06),
    )
    assert from_query("scaling=linear&masks=ice")[1] == ["scaling=linear", "masks=ice"]


def test_a_mask_without_its_variable_is_stated_not_ignored(folder: Path) -> None:
    s, _ = start(folder, dataset="without.nc", masks=["frozen"])
    message, panel = conditions_message(s), FilterPanel(s)
    assert s.evaluation.masks == () and s.masks == []
    assert message.visible and "Selected but not applied:" in message.object
    assert "the dataset has no soil_temperature" in message.object
    assert panel.masks["frozen"].disabled and not panel.masks["frozen"].value
    assert "the dataset has no soil_temperature" in panel._mask_note.object
    s.change(dataset="with.nc", reference="", site="")
    assert not panel.masks["frozen"].disabled and panel.masks["snow"].disabled
    assert not message.visible


def test_sidebar_selects_masks_scaling_and_depth(folder: Path) -> None:
    s, controller = start(folder)
    panel, sidebar = FilterPanel(s), Sidebar(s, controller.store)
    panel.masks["frozen"].value = True
    sidebar.scaling.value = "mean_std"
    assert (s.masks, s.scaling) == (["frozen"], "mean_std")
    removed, total = s.evaluation.masked_days(s.product, s.shown.mask)
    assert (
        0 < removed < total and f"Left out: {removed:,} of {total:,} paired days" in panel._mask_note.object
    )
    assert panel.depth.visible and (panel.depth.start, panel.depth.end) == (0.05, 0.1)
    with param.edit_constant(panel.depth):  # the browser sets it when the handle is released
        panel.depth.value_throttled = (0.05, 0.06)
    assert s.depth == (0.05, 0.06) and s.shown.words == "sensor depth 0.05 to 0.06 m"
    found = select_sites(open_dataset(folder / "with.nc"), depth=s.depth)[v.SITE].values.tolist()
    assert list(s.evaluation.sites.index[s.shown.mask]) == found
    panel.reset.clicks += 1
    assert s.masks == [] and s.depth is None


def test_a_dataset_without_depths_drops_the_filter(folder: Path) -> None:
    s, _ = start(folder, dataset="without.nc", depth=(0.0, 0.06))
    assert s.depth is None and s.shown.mask.all() and not FilterPanel(s).depth.visible


def test_the_message_stands_above_every_page_of_scores(folder: Path) -> None:
    s, _ = start(folder)
    message = conditions_message(s)
    assert not message.visible
    s.scaling = "cdf"
    for page in (OVERVIEW, COMPARE):
        s.page = page
        assert message.visible and "CDF matching (bias is 0 by construction)" in message.object
    s.page = EXPERIMENTS
    assert message.visible and "of all test days and not scaled" in message.object
    s.page = DATA
    assert not message.visible
