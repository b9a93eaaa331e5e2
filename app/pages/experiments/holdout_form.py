"""Holdout part of the experiment form."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import panel as pn
import panel_material_ui as pmui
import param

from app.ui.bound_widgets import UserChanges
from gsm3core import vocabulary as v
from gsm3core.config import HoldoutConfig
from gsm3core.errors import ConfigError
from gsm3core.geography.regions import region_schemes

HOLDOUTS = {
    "temporal": ("Temporal", "Test days from another period at the same sites."),
    "random_spatial": (
        "Random spatial",
        "Random parts of the sites, each tested once: skill at ungauged sites near training sites.",
    ),
    "spatial_block": (
        "Spatial blocks",
        "Groups of spatial blocks, each tested once: skill far from any training site.",
    ),
    "cross_continental": (
        "Cross-continental",
        "One region at a time, without training sites in it or in a buffer around it: skill in another region.",
    ),
    "custom": (
        "Custom",
        "The chosen networks, sites or area are tested once; all other sites are training sites. Sites in the satellite "
        "cell of a test site are not used.",
    ),
}
WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; }
h2 { font-size: 16px; margin: 8px 0 2px 0; }
"""
_PERIOD = re.compile(r"\s*(\d{4}-\d{2}-\d{2})\s*(?:to|/|–|until)\s*(\d{4}-\d{2}-\d{2})\s*")
_DAYS = (
    "First and last day, e.g. 2016-04-01 to 2017-03-31. If empty: for a temporal holdout, test on the first year with soil "
    "moisture (with SMAP, if it is a target) and train on the rest; otherwise all days."
)
_TWO_YEARS = 2 * 365
_USES = {
    "temporal": ("train", "test"),
    "random_spatial": ("folds", "group", "train"),
    "spatial_block": ("folds", "block", "group", "train"),
    "cross_continental": ("regions", "buffer", "outside", "group", "train"),
    "custom": ("networks", "sites", "group", "train"),
}


class HoldoutForm(param.Parameterized):
    """Widgets of the holdout; ``changed`` counts every change, so that a preview of the folds can follow."""

    changed = param.Integer(default=0, doc="Number of changes.")
    polygon = param.Parameter(default=(), doc="Corners (longitude, latitude) of the area drawn on the map.")

    def __init__(self) -> None:
        super().__init__()
        self.name_choice = pmui.Select(
            label="Holdout",
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
            description="Number of parts that the sites are divided into; each is tested once.",
            **WIDE,
        )
        self.block = pmui.TextInput(
            label="Block size (km)",
            value="500",
            description="Side of the equal-area square blocks; larger blocks put test sites farther from training sites.",
            **WIDE,
        )
        self.regions = pmui.Select(
            label="Regions",
            options={title: name for name, title in region_schemes().items()},
            value=v.PAPER_REGIONS,
            description="Division into regions. The paper's leaves out Canada, Mexico, South America, equatorial Africa and the "
            "Pacific; the others cover all land.",
            **WIDE,
        )
        self.buffer = pmui.TextInput(
            label="Buffer (km)",
            value="100",
            description="Sites this near to the tested region, or to one of its sites, neither train nor test in that fold; 0 in "
            "the paper.",
            **WIDE,
        )
        self.outside = pmui.Select(
            label="Sites in no region",
            options={"Tested as a fold of their own": "fold", "Neither training nor test": "exclude"},
            value="fold",
            description="Sites that no region contains.",
            **WIDE,
        )
        self.group = pmui.TextInput(
            label="Held out together within (km)",
            value=f"{HoldoutConfig().group_km:g}",
            description="Sites up to this distance apart, also through other sites, are in one fold. 0: only the sites of a "
            "satellite cell; 1: also a station that is in the dataset twice; 33: footprint of SMAP.",
            **WIDE,
        )
        self.networks = pmui.MultiChoice(label="Networks", options=[], value=[], **_without_size())
        self.sites = pmui.MultiChoice(label="Sites", options=[], value=[], searchable=True, **_without_size())
        self.train = pmui.TextInput(label="Training days", description=_DAYS, **WIDE)
        self.test = pmui.TextInput(label="Test days", description=_DAYS, **WIDE)
        parts = (
            "folds",
            "block",
            "regions",
            "buffer",
            "outside",
            "networks",
            "sites",
            "group",
            "train",
            "test",
        )
        self._parts = {n: getattr(self, n) for n in parts}
        self.column = pn.Column(
            self.name_choice,
            self._explanation,
            *self._parts.values(),
            sizing_mode="stretch_width",
            margin=0,
        )
        self._is_default = True
        # Periods of the last preset, by field.
        self._preset_days: dict[str, str] = {}
        self._changes = UserChanges()
        self.name_choice.param.watch(self._explain, "value")
        for widget in (self.name_choice, *self._parts.values()):
            widget.param.watch(self._count, "value")
        # Typed values belong to the chosen holdout. (Networks and sites also change with the dataset.)
        for widget in (
            self.name_choice, self.folds, self.block, self.regions, self.buffer, self.outside, self.group, self.train,
            self.test,
        ):  # fmt: skip
            self._changes.watch(widget, self._keep_choice)
        self.param.watch(self._keep_choice, "polygon")
        self.param.watch(self._count, "polygon")
        self._explain()

    @property
    def chosen(self) -> str:
        """Name of the holdout."""
        return str(self.name_choice.value)

    def values(self) -> dict[str, Any]:
        """Return the ``holdout`` section of a configuration.

        Raises
        ------
        ConfigError
            If a number or period is invalid; the message names the field.
        """
        used = _USES[self.chosen]
        found: dict[str, Any] = {"name": self.chosen, "train": None, "test": None}
        if "folds" in used:
            found["folds"] = whole_number(self.folds)
        if "block" in used:
            found["block_km"] = _number(self.block)
        if "group" in used:
            found["group_km"] = _number(self.group)
        if "regions" in used:
            found |= {
                "regions": self.regions.value,
                "buffer_km": _number(self.buffer),
                "outside": self.outside.value,
            }
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

    def apply_preset(self, preset: HoldoutConfig) -> None:
        """Use the holdout of a preset if it defines its periods; otherwise remove those of the preset before it."""
        if preset.train or preset.test:
            self.name_choice.value = preset.name
            self._is_default = False
            self.folds.value = self.folds.value_input = str(preset.folds)
            self.buffer.value = self.buffer.value_input = f"{preset.buffer_km:g}"
            self.group.value = self.group.value_input = f"{preset.group_km:g}"
            self.regions.value, self.outside.value = preset.regions, preset.outside
        for name, period in (("train", preset.train), ("test", preset.test)):
            field, text = self._parts[name], f"{period.start} to {period.end}" if period else ""
            if text or field_text(field) == self._preset_days.get(name):
                field.value = field.value_input = text
            self._preset_days[name] = text

    def update_dataset(self, networks: list[str], sites: list[str], days: int) -> None:
        """List the networks and sites of a dataset; unless the user chose a holdout, select one that fits it.

        Parameters
        ----------
        days
            Length of the record; a temporal holdout needs two years.
        """
        if self._is_default:
            with self._changes.silenced():
                self.name_choice.value = "temporal" if days >= _TWO_YEARS else "random_spatial"
        for widget, names in ((self.networks, networks), (self.sites, sites)):
            if widget.options != names:
                widget.param.update(options=names, value=[n for n in widget.value if n in names])

    def _count(self, *_: param.parameterized.Event) -> None:
        self.changed += 1

    def _keep_choice(self, *_: object) -> None:
        self._is_default = False

    def _explain(self, *_: param.parameterized.Event) -> None:
        self._explanation.object = f"<p>{HOLDOUTS[self.chosen][1]}</p>"
        for name, widget in self._parts.items():
            widget.visible = name in _USES[self.chosen]
        temporal = self.chosen == "temporal"
        self.train.label = "Training days" if temporal else "Training and test days"


def field_text(field: pmui.TextInput) -> str:
    """Return the text of a field, also if it was typed without Enter."""
    return str(field.value_input or field.value).strip()


def whole_number(field: pmui.TextInput) -> int:
    """Return a field's whole number.

    Raises
    ------
    ConfigError
        If the text is not a whole number.
    """
    try:
        return int(field_text(field))
    except ValueError:
        raise ConfigError(f"{field.label}: {field_text(field)!r} is not a whole number.") from None


def _number(field: pmui.TextInput) -> float:
    try:
        return float(field_text(field))
    except ValueError:
        raise ConfigError(f"{field.label}: {field_text(field)!r} is not a number.") from None


def _period(field: pmui.TextInput) -> dict[str, dt.date] | None:
    text = field_text(field)
    if not text:
        return None
    match = _PERIOD.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return {"start": dt.date.fromisoformat(match[1]), "end": dt.date.fromisoformat(match[2])}
    except ValueError:
        raise ConfigError(
            f"{field.label}: {text!r} is not a period. Expected two days, such as 2016-04-01 to 2017-03-31."
        ) from None


def _without_size() -> dict[str, Any]:
    return {k: x for k, x in WIDE.items() if k != "size"}
