"""The pages of the dashboard in the order of the navigation: name in the URL and constructor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.pages.compare.page import compare_page
from app.pages.data.page import data_page
from app.pages.experiments.page import experiments
from app.pages.factors.page import factors_page
from app.pages.overview.page import overview_page
from app.pages.sites.page import sites_page
from app.session.controller import SessionController
from app.session.selection import COMPARE, DATA, EXPERIMENTS, FACTORS, OVERVIEW, SITES, Selection
from app.ui.page_layout import PageSection

PAGES: Mapping[str, Callable[[Selection, SessionController], PageSection]] = MappingProxyType(
    {
        OVERVIEW: overview_page,
        SITES: sites_page,
        COMPARE: compare_page,
        FACTORS: factors_page,
        EXPERIMENTS: experiments,
        DATA: data_page,
    }
)
"""Name in the URL -> constructor of the page."""
