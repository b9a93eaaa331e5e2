"""Workaround: stop a Tabulator from polling for style sheets that were replaced.

Package: panel 1.9.4.
Issue: none known.
Problem: Panel fits a table to its place once its style sheets are loaded, and polls for them without a pause. The page's
    theme replaces the sheets while they load; the table then polls forever and keeps one core of the user's machine busy.
Remove: when Panel's ``_initialized_stylesheets`` follows replaced style sheets, or the polling ends.
"""

from __future__ import annotations

import panel as pn

_RESET_STYLESHEETS = """
const reset = () => {
  const view = Bokeh.index.find_one_by_id(cb_obj.id)
  if (view == null || view._initialized_stylesheets == null) return
  const links = view._applied_stylesheets.map(sheet => sheet.el).filter(el => el instanceof HTMLLinkElement)
  const loaded = new Map(links.map(el => [el.href, el.sheet != null]))
  view._initialized_stylesheets = loaded
  for (const el of links)
    for (const end of ['load', 'error']) el.addEventListener(end, () => loaded.set(el.href, true), {once: true})
}
setTimeout(reset, 0)
"""


def fix_stylesheet_polling(table: pn.widgets.Tabulator) -> pn.widgets.Tabulator:
    """Return the table, which now waits only for the style sheets that it has."""
    table.jscallback(stylesheets=_RESET_STYLESHEETS)
    return table
