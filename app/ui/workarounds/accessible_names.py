"""Workaround: names and roles for screen readers, set in the browser.

Package: panel-material-ui 0.16.6.
Issue: none known.
Problem: help icons have a label but no role, number steppers and progress bars have no label, and the page has an empty
    heading beside a title that is not one.
Remove: when tests/browser/test_axe.py passes without it.
"""

from __future__ import annotations

from bokeh.models import CustomJS

INTERVAL_MS = 1500

# Components render at any time within shadow roots, which no observer of the document sees: poll when idle.
_SET_NAMES = """
const set = (e, name, value) => { if (e.getAttribute(name) !== value) e.setAttribute(name, value) }
// Other buttons keep their text in a shadow root of their own, so their textContent is empty too.
const isStepper = e =>
  e.textContent.trim() === '' && e.querySelector('svg') != null && e.querySelector('.child-wrapper') == null
const setNames = root => {
  for (const e of root.querySelectorAll('*')) {
    if (e.shadowRoot) setNames(e.shadowRoot)
    const tag = e.tagName
    if (tag === 'SPAN' || tag === 'DIV') {
      if (e.getAttribute('role') === 'progressbar') {
        if (!e.hasAttribute('aria-label')) set(e, 'aria-label', 'progress')
      } else if (e.hasAttribute('aria-label') && !e.hasAttribute('role')) {
        if (tag === 'SPAN') set(e, 'role', 'img')
        else if (e.title.startsWith('Drag')) set(e, 'role', 'separator')
      }
    } else if (tag === 'H5' && e.textContent.trim() === '') {
      set(e, 'role', 'presentation')
      set(e, 'aria-hidden', 'true')
    } else if (tag === 'BUTTON' && !e.hasAttribute('aria-label') && isStepper(e)) {
      const field = e.closest('.MuiFormControl-root, .bk-panel-models-esm-ReactComponent') ?? e.getRootNode()
      const label = (field.querySelector('label') ?? e.getRootNode().querySelector('label'))?.textContent.trim() ?? ''
      const buttons = [...e.getRootNode().querySelectorAll('button')].filter(isStepper)
      set(e, 'aria-label', `${label} ${buttons.indexOf(e) === 0 ? 'lower' : 'higher'}`.trim())
    }
    if (e.classList.contains('MuiAccordion-heading')) set(e, 'aria-level', '2')
    if (e.classList.contains('title') && e.textContent.trim() === 'GSM3') {
      set(e, 'role', 'heading')
      set(e, 'aria-level', '1')
    }
  }
}
const idle = window.requestIdleCallback ?? (work => setTimeout(work, 0))
const update = () => { setNames(document); document.documentElement.dataset.named = String(Date.now()) }
const poll = () => idle(update, {timeout: INTERVAL_MS})
poll()
setInterval(poll, INTERVAL_MS)
"""


def add_accessible_names() -> CustomJS:
    """Return the script that sets the names; run it when the document is ready."""
    return CustomJS(code=_SET_NAMES.replace("INTERVAL_MS", str(INTERVAL_MS)))
