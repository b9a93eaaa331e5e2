"""A table that rests when nothing happens."""

from __future__ import annotations

import panel as pn

# Panel 1.9.4 waits for the table's style sheets before it fits the table to its place, and asks again and again with
# no pause whether they are there. The page's theme replaces the sheets while they load: it then waits for sheets that
# are gone, for ever, and keeps one core of every visitor busy. So tell it what has become of those that are there.
_REST = """
const settle = () => {
  const view = Bokeh.index.find_one_by_id(cb_obj.id)
  if (view == null || view._initialized_stylesheets == null) return
  const links = view._applied_stylesheets.map(sheet => sheet.el).filter(el => el instanceof HTMLLinkElement)
  const there = new Map(links.map(el => [el.href, el.sheet != null]))
  view._initialized_stylesheets = there
  for (const el of links)
    for (const end of ['load', 'error']) el.addEventListener(end, () => there.set(el.href, true), {once: true})
}
setTimeout(settle, 0)
"""


def calm(table: pn.widgets.Tabulator) -> pn.widgets.Tabulator:
    """Return the table, kept from asking for style sheets that have been replaced."""
    table.jscallback(stylesheets=_REST)
    return table
