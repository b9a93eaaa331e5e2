"""The pages of the dashboard, in the order of the navigation: their name in the address, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.pages.compare.page import compare_page
from app.pages.data.page import data_page
from app.pages.experiments.page import experiments
from app.pages.factors.page import factors_page
from app.pages.overview.page import overview
from app.pages.sites.page import sites
from app.session.controller import SessionController
from app.session.selection import COMPARE, DATA, EXPERIMENTS, FACTORS, OVERVIEW, SITES, Selection
from app.ui.page_layout import Part

PAGES: Mapping[str, Callable[[Selection, SessionController], Part]] = MappingProxyType(
    {
        OVERVIEW: overview,
        SITES: sites,
        COMPARE: compare_page,
        FACTORS: factors_page,
        EXPERIMENTS: experiments,
        DATA: data_page,
    }
)
"""Name in the address, in the order of the navigation -> how the page is made."""
