"""Caveats shown above every result of the Factors page."""

from __future__ import annotations

import re
from html import unescape

from app.pages.factors.labels import factor_label
from app.services.factor_analysis import FactorQuery
from app.ui.card import message_html
from app.ui.formatting import p_value
from gsm3core.factors.table import ASSOCIATION, FactorTable

_LEAD, _, _CLAIM = ASSOCIATION.partition(": ")
_CLAIM = f"{_CLAIM[:1].upper()}{_CLAIM[1:]}"


def association_note(text: str = _CLAIM) -> str:
    """Return the HTML of a warning that the results show association, not cause."""
    return message_html("warning", text, f"{_LEAD}.")


def factor_note(query: FactorQuery) -> str:
    """Return the HTML of the caveats: association, circular mean soil moisture, autocorrelation, excluded factors."""
    table, moran = query.table, query.nearby
    note = table.note.replace(ASSOCIATION, _CLAIM)
    if table.moisture:
        label = factor_label(table.moisture)
        note = note.replace(table.moisture, label[:1].upper() + label[1:])
    p = unescape(p_value(moran.p))
    text = f"{note} Spatial autocorrelation of the score: Moran's I {moran.value:.2f} (p {p})."
    if table.dropped:
        excluded = [f"{factor_label(n)} ({_with_labels(why, table)})" for n, why in table.dropped.items()]
        text += f"\nExcluded factors: {'; '.join(excluded)}."
    return association_note(text)


def _with_labels(reason: str, table: FactorTable) -> str:
    """Replace factor names by their labels."""
    names = sorted({*table.factors, *table.dropped}, key=len, reverse=True)
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)"
    return re.sub(pattern, lambda match: factor_label(match[0]), reason)
