"""Names and roles for people who hear the page: what the widget library leaves unnamed is named in the browser."""

from __future__ import annotations

from bokeh.models import CustomJS

LOOK_EVERY = 1500  # milliseconds

# panel-material-ui gives its help icons a label but no role, its steppers and bars no label, and its page an empty
# heading beside a title that is none. It draws them whenever it likes, within shadow roots that no observer of the
# document sees: they are looked for now and then, when the browser is idle.
_MEND = """
const set = (e, name, value) => { if (e.getAttribute(name) !== value) e.setAttribute(name, value) }
// A button of another kind has its words in a shadow root of its own, where no text of the button is found.
const isStepper = e =>
  e.textContent.trim() === '' && e.querySelector('svg') != null && e.querySelector('.child-wrapper') == null
const mend = root => {
  for (const e of root.querySelectorAll('*')) {
    if (e.shadowRoot) mend(e.shadowRoot)
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
const named = () => { mend(document); document.documentElement.dataset.named = String(Date.now()) }
const look = () => idle(named, {timeout: EVERY})
look()
setInterval(look, EVERY)
"""


def add_accessible_names() -> CustomJS:
    """Return what is run in the browser once the page is there."""
    return CustomJS(code=_MEND.replace("EVERY", str(LOOK_EVERY)))
