"""Triple collocation at one site: random error and R to the truth of every product and of the reference."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from app.services.evaluation import Evaluation
from app.ui.formatting import level_text, number
from app.ui.theme import SCALES, product_colour

_NOTE = (
    "Triple collocation with the reference and a third product. Random error: standard deviation in m³ m⁻³, in each record's own "
    "range of values. Errors of the three must be independent; where they are not, the random error is too small. "
    "Below: {level} confidence interval."
)


def triplet_html(evaluation: Evaluation, site: str, product: str, *, dark: bool) -> str:
    """Return the table of triple collocation at a site, or how to compute it.

    Parameters
    ----------
    evaluation, site
        Scores and the site.
    product
        Product whose triplet gives the row of the reference.
    dark
        Theme.
    """
    if not evaluation.has("TC_R"):
        return "<p>Triple collocation (random error, R to the truth): choose it under Further scores.</p>"
    by_product = {str(name): row for name, row in evaluation.at_site(site).iterrows()}
    rows = [
        _row(name, row, "TC_", selected=name == product, colour=product_colour(name, dark=dark))
        for name, row in by_product.items()
    ]
    if product in by_product and str(by_product[product]["TC_third"]):
        reference = evaluation.against.capitalize() if evaluation.against.islower() else evaluation.against
        rows.insert(
            0,
            _row(
                reference,
                by_product[product],
                "TC_reference_",
                selected=False,
                colour="",
                with_product=product,
            ),
        )
    level = level_text(evaluation.confidence)
    return (
        '<h4>Triple collocation</h4><table><tr><th scope="col">Record</th><th scope="col">Random error</th>'
        '<th scope="col" title="Correlation with the unknown truth">R to the truth</th><th scope="col">With</th>'
        f'<th scope="col" title="Days with all three records">days</th></tr>{"".join(rows)}</table>'
        f"<p>{_NOTE.format(level=level)}</p>"
    )


def _row(
    name: str, row: pd.Series, prefix: str, *, selected: bool, colour: str, with_product: str = ""
) -> str:
    mark = f'<i style="background:{colour}"></i>' if colour else "<i></i>"
    first = f'<tr class="{"chosen" if selected else ""}"><td>{mark}{escape(name)}</td>'
    if not np.isfinite(float(row[f"{prefix}R"])):
        return (
            f'{first}<td class="why" colspan="4">no estimate: {escape(str(row[f"{prefix}reason"]))}</td></tr>'
        )
    cells = "".join(f"<td>{_cell(row, prefix, part)}</td>" for part in ("error", "R"))
    others = ", ".join([*([with_product] if with_product else []), str(row["TC_third"])])
    return f"{first}{cells}<td>{escape(others)}</td><td>{int(row['TC_days'])}</td></tr>"


def _cell(row: pd.Series, prefix: str, part: str) -> str:
    digits = SCALES[f"TC_{part}"].digits
    ends = [float(row[f"{prefix}{part}_{end}"]) for end in ("lower", "upper")]
    interval = " to ".join(number(x, digits) for x in ends) if np.isfinite(ends).all() else "no interval"
    return f"{number(float(row[f'{prefix}{part}']), digits)}<small>{interval}</small>"
