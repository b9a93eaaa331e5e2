"""Formatting of numbers, intervals, p-values and HTML tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from gsm3core.metrics import ALL_METRICS

TABLE = """
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums;
  color: var(--panel-on-surface-color); }
:host { overflow-x: auto; color: var(--panel-on-surface-color); }
th { text-align: right; font-weight: 600; padding: 4px 7px; opacity: .75; vertical-align: bottom; }
td { text-align: right; padding: 5px 7px; white-space: nowrap;
  border-top: 1px solid color-mix(in srgb, currentColor 16%, transparent); }
thead td { border-top: 0; }
th.text, td.text { text-align: left; }
td.wrap { white-space: normal; }
tr.chosen td { font-weight: 650; }
td.marked { background: color-mix(in srgb, #e0a020 22%, transparent); }
i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
p { font-size: 12.5px; opacity: .8; line-height: 1.45; margin: 8px 0 0; }
"""
NONE = "–"


def number(value: float, digits: int, *, sign: bool = False) -> str:
    """Return a number with this many decimals and a true minus sign; a dash if it is not finite."""
    if not math.isfinite(value):
        return NONE
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    return ("0" + text[2:] if text.startswith("-") and not float(text) else text).replace("-", "−")


def interval(value: float, lower: float, upper: float, digits: int, *, sign: bool = False) -> str:
    """Return a number with its interval, as ``0.71 [0.65, 0.76]``."""
    middle = number(value, digits, sign=sign)
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return middle
    return f"{middle} [{number(lower, digits, sign=sign)}, {number(upper, digits, sign=sign)}]"


def level_text(confidence: float) -> str:
    """Return a confidence level as text, ``95 %``."""
    return f"{100 * confidence:g} %"


def p_value(p: float) -> str:
    """Return a p-value as papers write it."""
    if not math.isfinite(p):
        return NONE
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def percent(share: float) -> str:
    """Return a fraction as whole percent."""
    return NONE if not math.isfinite(share) else f"{100 * share:.0f} %"


def with_definition(metric: str, label: str) -> str:
    """Return a label as HTML with the metric's definition as its tooltip."""
    return f'<span title="{escape(ALL_METRICS[metric].meaning)}">{escape(label)}</span>'


def html_table(head: Sequence[str], rows: Sequence[str], *, texts: int = 1) -> str:
    """Return an HTML table.

    Parameters
    ----------
    head
        Column titles, escaped.
    rows
        Whole ``<tr>`` elements, escaped.
    texts
        Number of text columns, from the left; they are left-aligned.
    """
    cells = "".join(
        f"<{'th scope=col' if title else 'td'}{' class=text' if k < texts else ''}>{title}</{'th' if title else 'td'}>"
        for k, title in enumerate(head)
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
