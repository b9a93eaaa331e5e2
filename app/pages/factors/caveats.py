"""What must be said beside every result of the Factors page."""

from __future__ import annotations

from app.pages.factors.labels import factor_label
from app.services.factor_analysis import FactorQuery
from app.ui.card import told


def factor_note(asked: FactorQuery) -> str:
    """Return the HTML of the note: association, circular mean soil moisture, what was left out and why."""
    note, moisture = asked.table.note, asked.table.moisture or ""
    note = note.replace(moisture, factor_label(moisture)) if moisture else note
    lead = "Association, not cause."
    rest = note.removeprefix("Association, not cause: ")
    n, dropped = asked.nearby, asked.table.dropped
    words = f"{rest[:1].upper()}{rest[1:]} Neighbours' scores are alike to a Moran's I of {n.value:.2f} (p {n.p:.3f})."
    if dropped:
        left_out = "; ".join(f"{factor_label(name)} ({_why(why)})" for name, why in dropped.items())
        words += f"\nLeft out: {left_out}."
    return told("warning", words, lead)


def _why(reason: str) -> str:
    """Return a reason with the name of the factor in it as the page says it."""
    lead, along, rest = reason.partition("goes along with ")
    name, bracket, more = rest.partition(" (")
    return f"{lead}{along}{factor_label(name)}{bracket}{more}" if along else reason
