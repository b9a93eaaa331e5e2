"""The pages of the dashboard, in the order of the navigation: their name in the address, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.pages.experiments import experiments
from app.pages.part import Part
from app.pages.sites import sites
from app.state import EXPERIMENTS, SITES, Selection
from app.visitor import Visitor

PAGES: Mapping[str, Callable[[Selection, Visitor], Part]] = MappingProxyType(
    {SITES: sites, EXPERIMENTS: experiments}
)
"""Name in the address, in the order of the navigation -> how the page is made."""
