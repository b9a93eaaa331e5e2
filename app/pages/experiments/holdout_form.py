"""The part of the form that says what is held out."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError

HOLDOUTS = {
    "temporal": ("Temporal", "Another period at the same sites: can the model tell days it has not seen?"),
    "random_spatial": (
        "Random spatial",
        "A random share of the sites at a time: can it tell sites among those it knows?",
    ),
    "spatial_block": (
        "Spatial blocks",
        "Whole blocks of land at a time: can it tell ground far from any site it knows?",
    ),
    "cross_continental": (
        "Cross-continental",
        "One region at a time: can it tell a continent that it has never seen?",
    ),
    "custom": (
        "My own choice",
        "The networks, sites or area that you name, once; everything else trains. Sites that share a satellite cell with "
        "one that is held out do neither.",
    ),
}
WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; }
h2 { font-size: 16px; margin: 8px 0 2px 0; }
"""
_PERIOD = re.compile(r"\s*(\d{4}-\d{2}-\d{2})\s*(?:to|/|–|until)\s*(\d{4}-\d{2}-\d{2})\s*")
_DAYS = "Two days, such as 2016-04-01 to 2017-03-31. Empty: by period, the first year tests and the rest trains; else all days."
_TWO_YEARS = 2 * 365
_USES = {
    "temporal": ("train", "test"),
    "random_spatial": ("folds", "train"),
    "spatial_block": ("folds", "block", "train"),
    "cross_continental": ("train",),
    "custom": ("networks", "sites", "train"),
}


class HoldoutForm(param.Parameterized):
    """What to hold out.

    ``changed`` counts every change, so that the folds can be shown before anything is launched.
    """

    changed = param.Integer(default=0, doc="Counts the changes.")
    polygon = param.Parameter(default=(), doc="Corners (longitude, latitude) of the area drawn on the map.")

    def __init__(self) -> None:
        super().__init__()
        self.name_choice = pmui.Select(
            label="Hold out",
            options={label: n for n, (label, _) in HOLDOUTS.items()},
            value="temporal",
            **WIDE,
        )
        self._explanation = pn.pane.HTML(
            stylesheets=[NOTE], margin=(0, 16, 6, 16), sizing_mode="stretch_width"
        )
        self.folds = pmui.TextInput(
            label="Folds",
            value="5",
            description="Into how many parts the sites are divided; each is held out once.",
            **WIDE,
        )
        self.block = pmui.TextInput(
            label="Side of a block (km)",
            value="500",
            description="Blocks are squares of equal area; wider ones leave held-out sites farther from those that train.",
            **WIDE,
        )
        self.networks = pmui.MultiChoice(label="Networks", options=[], value=[], **_without_size())
        self.sites = pmui.MultiChoice(label="Sites", options=[], value=[], searchable=True, **_without_size())
        self.train = pmui.TextInput(label="Training days", description=_DAYS, **WIDE)
        self.test = pmui.TextInput(label="Test days", description=_DAYS, **WIDE)
        self._parts = {n: getattr(self, n) for n in ("folds", "block", "networks", "sites", "train", "test")}
        self.column = pn.Column(
            self.name_choice,
            self._explanation,
            *self._parts.values(),
            sizing_mode="stretch_width",
            margin=0,
        )
        self._left_open = True
        self.name_choice.param.watch(self._explain, "value")
        for widget in (self.name_choice, *self._parts.values()):
            widget.param.watch(self._count, "value")
        # What is typed is for the holdout that it was typed in. (Networks and sites are changed by the dataset too.)
        for widget in (self.folds, self.block, self.train, self.test):
            widget.param.watch(self._settle, "value")
        self.param.watch(self._settle, "polygon")
        self.param.watch(self._count, "polygon")
        self._explain()
        self._left_open = True

    @property
    def chosen(self) -> str:
        """Name of the holdout."""
        return str(self.name_choice.value)

    def values(self) -> dict[str, Any]:
        """Return what the form says, for the section ``holdout`` of a configuration.

        Raises
        ------
        ConfigError
            If something typed is no number or no period; the message names the field.
        """
        used = _USES[self.chosen]
        found: dict[str, Any] = {"name": self.chosen, "train": None, "test": None}
        if "folds" in used:
            found["folds"] = whole_number(self.folds)
        if "block" in used:
            found["block_km"] = _number(self.block)
        for name in ("train", "test"):
            if name in used:
                found[name] = _period(self._parts[name])
        if self.chosen == "custom":
            found |= {
                "networks": tuple(self.networks.value) or None,
                "sites": tuple(self.sites.value) or None,
                "polygon": self.polygon or None,
            }
        return found

    def take(self, preset: HoldoutConfig) -> None:
        """Take the periods of a preset that is made for its own holdout."""
        if preset.train or preset.test:
            self.name_choice.value = preset.name
            self._left_open = False
            for field, period in ((self.train, preset.train), (self.test, preset.test)):
                field.value = field.value_input = f"{period.start} to {period.end}" if period else ""

    def offer(self, networks: list[str], sites: list[str], days: int) -> None:
        """Offer the networks and sites of the dataset, and where nothing was chosen yet, a holdout that it can have.

        Parameters
        ----------
        networks, sites
            Their names.
        days
            Of its record: another period needs two years.
        """
        if self._left_open:
            self.name_choice.value = "temporal" if days >= _TWO_YEARS else "random_spatial"
            self._left_open = True
        for widget, names in ((self.networks, networks), (self.sites, sites)):
            if widget.options != names:
                widget.param.update(options=names, value=[n for n in widget.value if n in names])

    def _count(self, *_: param.parameterized.Event) -> None:
        self.changed += 1

    def _settle(self, *_: param.parameterized.Event) -> None:
        self._left_open = False

    def _explain(self, *_: param.parameterized.Event) -> None:
        self._left_open = False
        self._explanation.object = f"<p>{HOLDOUTS[self.chosen][1]}</p>"
        for name, widget in self._parts.items():
            widget.visible = name in _USES[self.chosen]
        temporal = self.chosen == "temporal"
        self.train.label = "Training days" if temporal else "Days that train and test"


def typed(field: pmui.TextInput) -> str:
    """Return what stands in a field, also where the reader went on to the button without Enter."""
    return str(field.value_input or field.value).strip()


def whole_number(field: pmui.TextInput) -> int:
    """Return a field's whole number.

    Raises
    ------
    ConfigError
        If it is none.
    """
    try:
        return int(typed(field))
    except ValueError:
        raise ConfigError(f"{field.label}: {typed(field)!r} is not a whole number.") from None


def _number(field: pmui.TextInput) -> float:
    try:
        return float(typed(field))
    except ValueError:
        raise ConfigError(f"{field.label}: {typed(field)!r} is not a number.") from None


def _period(field: pmui.TextInput) -> dict[str, dt.date] | None:
    text = typed(field)
    if not text:
        return None
    match = _PERIOD.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return {"start": dt.date.fromisoformat(match[1]), "end": dt.date.fromisoformat(match[2])}
    except ValueError:
        raise ConfigError(
            f"{field.label}: {text!r} is no period. Write two days, such as 2016-04-01 to 2017-03-31."
        ) from None


def _without_size() -> dict[str, Any]:
    return {k: x for k, x in WIDE.items() if k != "size"}
