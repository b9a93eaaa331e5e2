"""The pages of the dashboard, in the order of the navigation: their name in the address, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.pages.compare import compare_page
from app.pages.data import data_page
from app.pages.experiments import experiments
from app.pages.factors import factors_page
from app.pages.overview import overview
from app.pages.part import Part
from app.pages.sites import sites
from app.state import COMPARE, DATA, EXPERIMENTS, FACTORS, OVERVIEW, SITES, Selection
from app.visitor import Visitor

PAGES: Mapping[str, Callable[[Selection, Visitor], Part]] = MappingProxyType(
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
