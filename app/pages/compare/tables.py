"""Tables of a comparison: every product by rank, and one product against each of the others."""

from __future__ import annotations

from html import escape

import numpy as np
import panel as pn

from app.pages.compare.colours import compared_colour
from app.services.comparison import Comparison
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.formatting import TABLE, defined, html_table, interval, number, p_value, percent
from app.ui.theme import SCALES
from gsm3core.evaluation.pairing import SAME_SAMPLE
from gsm3core.metrics import ALL_METRICS

SAMPLE_WORDS = {
    "pairwise": "each product on all the days that it shares with the reference",
    SAME_SAMPLE: "only days that all products have",
    "given": "each product on all the days that it shares with the reference; this score cannot be put on shared days",
}


class RankTable:
    """Every product with its median and interval, the best first.

    Parameters
    ----------
    selection
        Of the visitor.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self.table = pn.pane.HTML(
            stylesheets=[TABLE], margin=0, sizing_mode="stretch_width", css_classes=["rank-table"]
        )

    def show(self, comparison: Comparison, simulated: bool) -> None:
        """Draw a comparison."""
        s = self._selection
        ranks = comparison.ranks(s.sample, s.metric)
        signed = ALL_METRICS[s.metric].higher_is_better is None
        resampled = comparison.found.attrs["resampled"]
        self.title.object = heading(
            f"{metric_label(s.metric)} of every product".replace("bias", "Bias", 1),
            f"Median over {comparison.words}, {SAMPLE_WORDS[comparison.sample(s.sample)]}. "
            f"In brackets: 95 % interval, {resampled} drawn again.",
            simulated=simulated,
        )
        digits = SCALES[s.metric].digits
        head = ["", "Product", defined(s.metric, "Median [95 %]"), *(["Median size"] if signed else [])]
        head += [
            '<span title="Sites where the product has a score.">Sites</span>',
            '<span title="Networks that these sites belong to: what is drawn again for the interval.">Networks</span>',
            '<span title="Sites where no other product has a better score.">Best at</span>',
        ]
        several = int((comparison.at(s.sample, s.metric)["best"].values != "").sum())
        rows = []
        for place, (name, row) in enumerate(ranks.iterrows(), start=1):
            tint = compared_colour(comparison, str(name), dark=s.dark)
            known = np.isfinite(row["median"])
            cells = [
                f'<td class="text">{place if known else ""}</td>',
                f'<td class="text"><i style="background:{tint}"></i>{escape(str(name))}</td>',
                f"<td>{interval(row['median'], row['lower'], row['upper'], digits, sign=signed)}</td>",
                *([f"<td>{number(row['median_loss'], digits)}</td>"] if signed else []),
                f"<td>{int(row['sites'])}</td><td>{int(row['clusters'])}</td>",
                f"<td class=wrap>{int(row['best_at'])} ({percent(row['best_at'] / several if several else np.nan)})</td>",
            ]
            chosen = ' class="chosen"' if name == s.product else ""
            rows.append(f"<tr{chosen}>{''.join(cells)}</tr>")
        few = _few_in_common(comparison, s.sample, int(ranks["sites"].max()))
        note = (
            "<p>Ranked by the median size of the bias: one product too wet and one too dry by the same are equally good.</p>"
            if signed
            else ""
        )
        self.table.object = html_table(head, rows, texts=2) + few + note


def _few_in_common(comparison: Comparison, sample: str, sites: int) -> str:
    """Return what to say where days in common leave few sites; nothing where they do not."""
    if comparison.sample(sample) != SAME_SAMPLE or 2 * sites >= len(comparison.sites):
        return ""
    return (
        f"<p>All products together have enough days at only {sites} of {len(comparison.sites)} sites. "
        "Own days uses more sites, though not the same days for all.</p>"
    )


class PairTable:
    """One product against each of the others.

    Parameters
    ----------
    selection
        Its ``product`` is the one.
    """

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self.title = pn.pane.HTML(margin=0, sizing_mode="stretch_width")
        self.table = pn.pane.HTML(
            stylesheets=[TABLE], margin=0, sizing_mode="stretch_width", css_classes=["pair-table"]
        )

    def show(self, comparison: Comparison, product: str) -> None:
        """Draw a comparison for one product."""
        s = self._selection
        signed = ALL_METRICS[s.metric].higher_is_better is None
        what = "of the median sizes" if signed else "of the medians"
        self.title.object = heading(
            f"{product} against each other product",
            f"Difference {what} at the sites that both have, with 95 % interval; p of a Wilcoxon test over sites, "
            "corrected for all pairs (Holm).",
        )
        digits = SCALES[s.metric].digits
        rows = []
        for name, row in comparison.against_others(s.sample, s.metric, product).iterrows():
            tint = compared_colour(comparison, str(name), dark=s.dark)
            ends = (row["difference"], row["difference_lower"], row["difference_upper"])
            rows.append(
                f'<tr><td class="text"><i style="background:{tint}"></i>{escape(str(name))}</td>'
                f"<td>{interval(*ends, digits, sign=True)}</td><td>{p_value(row['p_holm'])}</td>"
                f"<td>{percent(row['win_share'])}</td><td>{int(row['n_common'] if np.isfinite(row['n_common']) else 0)}</td></tr>"
            )
        head = [
            "Other",
            defined(s.metric, "Difference [95 %]"),
            '<span title="How often a difference like this comes by chance alone, corrected for all pairs.">p (Holm)</span>',
            '<span title="Share of the common sites where the product is the better one.">Better at</span>',
            '<span title="Sites where both have a score.">Common sites</span>',
        ]
        self.table.object = html_table(head, rows)
