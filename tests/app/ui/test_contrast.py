"""Contrast of text and marks: WCAG 2.2 contrast ratios, computed from the definition."""

from __future__ import annotations

import re

import pytest

from app.server.shell import _PAGE_STYLE
from app.ui import card
from app.ui.theme import THEME, colours, product_colour
from gsm3core import vocabulary as v

TEXT, MARK = 4.5, 3.0  # success criteria 1.4.3 (AA) and 1.4.11
PRODUCTS = [
    v.MULTITASK_LSTM,
    v.SMAP,
    v.SMOS,
    v.AMSR2,
    v.GLDAS_NOAH,
    v.SOMO_ML,
    "ERA5-Land",
    "MERRA-2",
    "CCI",
    "X",
]


def channels(colour):
    assert re.fullmatch(r"#[0-9a-fA-F]{6}", colour), colour
    return [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]


def luminance(rgb):
    """Relative luminance, WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(front, behind, opacity=1.0):
    below = channels(behind)
    above = [opacity * a + (1 - opacity) * b for a, b in zip(channels(front), below, strict=True)]
    light, dark = sorted((luminance(above), luminance(below)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_ratio_matches_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )  # the well-known grey that just fails


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_sufficient_contrast(dark):
    c, palette = colours(dark), THEME["dark" if dark else "light"]["palette"]
    for behind in (c.surface, palette["background"]["default"]):
        assert contrast(c.ink, behind) >= TEXT
        assert contrast(c.ink, behind, 0.75) >= TEXT  # explanations below titles
        assert contrast(c.muted, behind) >= TEXT
        assert contrast(palette["text"]["secondary"], behind) >= TEXT
        assert contrast(palette["primary"]["main"], behind) >= TEXT  # buttons of text


@pytest.mark.parametrize("dark", [False, True])
def test_marks_have_sufficient_contrast(dark):
    c = colours(dark)
    for product in PRODUCTS:
        assert contrast(product_colour(product, dark=dark), c.surface) >= MARK, product
    for colour in (c.observed, c.accent, c.hollow):
        assert contrast(colour, c.surface) >= MARK, colour


def test_header_and_badge_have_sufficient_contrast():
    assert contrast("#ffffff", _PAGE_STYLE["& .header"]["backgroundColor"], 0.75) >= TEXT
    assert contrast("#ffffff", _PAGE_STYLE["&.mui-dark .header"]["backgroundColor"], 0.75) >= TEXT
    behind, front = re.search(r"background:(#\w+);color:(#\w+)", card._SIMULATED).groups()
    assert contrast(front + front[1:] if len(front) == 4 else front, behind) >= TEXT
