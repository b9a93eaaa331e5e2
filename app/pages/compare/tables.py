"""Tables of a comparison: products by rank, and one product against each of the others."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import panel as pn

from app.pages.compare.colours import compared_colour
from app.services.comparison import Comparison
from app.services.metric_labels import metric_label
from app.session.selection import Selection
from app.ui.card import heading
from app.ui.formatting import (
    TABLE,
    html_table,
    interval,
    level_text,
    number,
    p_value,
    percent,
    with_definition,
)
from app.ui.theme import SCALES
from gsm3core.evaluation.pairing import SAME_SAMPLE
from gsm3core.metrics import ALL_METRICS, TRIPLE_METRICS

_DAYS = {
    "pairwise": "each product on all days that it shares with the reference",
    SAME_SAMPLE: "only days that all products have",
    "given": "each product on all days that it shares with the reference; this score is not computed on common days",
}

_RESAMPLED = (
    '<span title="Units resampled for the confidence interval: networks, or single sites where fewer than five networks '
    'have a score.">Resampled</span>'
)


def _days(comparison: Comparison, selection: Selection) -> str:
    """Return the days of a comparison, and the third products of triple collocation."""
    sample = comparison.sample(selection.sample)
    if selection.metric not in TRIPLE_METRICS or selection.evaluation is None:
        return _DAYS[sample]
    thirds = [selection.evaluation.triplet(name) for name in comparison.products]
    used = "; ".join(t.removeprefix("Triplet: ") for t in thirds if t.startswith("Triplet"))
    return f"by triple collocation on the days of each triplet: {used or 'none'}"


class RankTable:
    """Every product with its median score and confidence interval, best first.

    Parameters
    ----------
    selection
        Gives the metric, the days and the theme.
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
        level = level_text(comparison.found.attrs["confidence"])
        ranks = comparison.ranks(s.sample, s.metric)
        signed = ALL_METRICS[s.metric].higher_is_better is None
        resampled = comparison.found.attrs["resampled"]
        self.title.object = heading(
            f"Median {metric_label(s.metric)} by product",
            f"Median over {comparison.words}, {_days(comparison, s)}. "
            f"In brackets: {level} confidence interval from a bootstrap over {resampled}.",
            simulated=simulated,
        )
        head = [
            "",
            "Product",
            with_definition(s.metric, f"Median [{level}]"),
            *(["Median absolute bias"] if signed else []),
        ]
        head += [
            '<span title="Sites where the product has a score.">Sites</span>',
            _RESAMPLED,
            '<span title="Sites where no other product has a better score.">Best at</span>',
        ]
        n_compared = int((comparison.at(s.sample, s.metric)["best"].values != "").sum())
        rows = [
            self._row(comparison, str(name), row, rank, n_compared)
            for rank, (name, row) in enumerate(ranks.iterrows(), start=1)
        ]
        warning = _few_sites_warning(comparison, s.sample, int(ranks["sites"].max()))
        note = (
            "<p>Ranked by median absolute bias: wet and dry biases of the same size rank equally.</p>"
            if signed
            else ""
        )
        self.table.object = (
            html_table(head, rows, texts=2) + warning + note + self._training_note(comparison, signed)
        )

    def _training_note(self, comparison: Comparison, signed: bool) -> str:
        """Return the medians of the runs on their training days, which are not ranked."""
        metric = self._selection.metric
        parts = [
            f"{escape(name)}: {interval(m.median, m.lower, m.upper, SCALES[metric].digits, sign=signed)}, {m.sites} sites"
            for name, m in comparison.training_medians(metric).items()
        ]
        if not parts:
            return ""
        return (
            f'<p class="training-scores"><b>Training days</b>, a fit and not a test; the days of the table do not apply: '
            f"{'; '.join(parts)}.</p>"
        )

    def _row(self, comparison: Comparison, name: str, row: pd.Series, rank: int, n_compared: int) -> str:
        s = self._selection
        digits, signed = SCALES[s.metric].digits, ALL_METRICS[s.metric].higher_is_better is None
        tint = compared_colour(comparison, name, dark=s.dark)
        best_share = percent(row["best_at"] / n_compared if n_compared else np.nan)
        cells = [
            f'<td class="text">{rank if np.isfinite(row["median"]) else ""}</td>',
            f'<td class="text"><i style="background:{tint}"></i>{escape(name)}</td>',
            f"<td>{interval(row['median'], row['lower'], row['upper'], digits, sign=signed)}</td>",
            *([f"<td>{number(row['median_loss'], digits)}</td>"] if signed else []),
            f"<td>{int(row['sites'])}</td><td>{int(row['clusters'])} {row['resampled']}</td>",
            f"<td class=wrap>{int(row['best_at'])} ({best_share})</td>",
        ]
        selected = ' class="chosen"' if name == s.product else ""
        return f"<tr{selected}>{''.join(cells)}</tr>"


def _few_sites_warning(comparison: Comparison, sample: str, sites: int) -> str:
    """Return a warning if fewer than half of the sites have enough common days; else an empty string."""
    if comparison.sample(sample) != SAME_SAMPLE or 2 * sites >= len(comparison.sites):
        return ""
    return (
        f"<p>Only {sites} of {len(comparison.sites)} sites have enough days that all products share. "
        "The option Paired days uses more sites, but different days for each product.</p>"
    )


class PairTable:
    """One product against each of the others.

    Parameters
    ----------
    selection
        Gives the metric, the days and the theme.
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
        level = level_text(comparison.found.attrs["confidence"])
        signed = ALL_METRICS[s.metric].higher_is_better is None
        statistic = "median absolute biases" if signed else "medians"
        self.title.object = heading(
            f"{product} against each other product",
            f"Difference of the {statistic} at common sites with {level} confidence interval; p-value of a Wilcoxon "
            "signed-rank test over sites, Holm-corrected for all pairs.",
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
            "Other product",
            with_definition(s.metric, f"Difference [{level}]"),
            '<span title="Wilcoxon signed-rank test over sites, Holm-corrected for all pairs of products.">p (Holm)</span>',
            '<span title="Share of the common sites where the product is better.">Better at</span>',
            '<span title="Sites where both have a score.">Common sites</span>',
        ]
        self.table.object = html_table(head, rows)
