"""The form of a new experiment: choose, check, launch."""

from __future__ import annotations

import panel as pn
import panel_material_ui as pmui
import param

from app.activity import Activity
from app.background import Latest
from app.choices import distinct
from app.state import Selection
from app.store import Store
from gsm3core import vocabulary as v
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError
from gsm3core.resources import presets

HOLDOUTS = {
    "temporal": ("Temporal", "Another period at the same sites: can the model tell days it has not seen?"),
    "random_spatial": (
        "Random spatial",
        "A random share of the sites at a time: can it tell sites among those it knows?",
    ),
    "cross_continental": (
        "Cross-continental",
        "One region at a time: can it tell a continent that it has never seen?",
    ),
}
_PRESETS = {
    "quick": "Quick: minutes on a laptop",
    "paper": "Paper: hours, wants a GPU",
    "smap-temporal": "SMAP alone, by period",
}
_DEVICES = {"Automatic": "auto", "CPU": "cpu", "GPU (CUDA)": "cuda"}
_WIDE = {"sizing_mode": "stretch_width", "size": "small", "margin": (9, 16)}
_NOTE = """
:host { font-size: 12.5px; line-height: 1.45; color: var(--panel-on-surface-color); }
p { margin: 0; opacity: .78; }
h3 { font-size: 16px; margin: 8px 0 2px 0; }
"""


class ExperimentForm:
    """What to train on, and what to hold out.

    Parameters
    ----------
    selection
        Of the visitor; a launch makes its experiment the one that is followed.
    store, activity
        Of the server.
    """

    def __init__(self, selection: Selection, store: Store, activity: Activity) -> None:
        self._selection = selection
        self._store = store
        self._activity = activity
        self._submitting: Latest[str] = Latest(self._submitted, self._refused)
        labels = {_PRESETS.get(name, name): name for name in presets()}
        self.dataset = pmui.Select(label="Dataset", options={}, **_WIDE)
        self.holdout = pmui.Select(
            label="Hold out",
            options={label: n for n, (label, _) in HOLDOUTS.items()},
            value="temporal",
            **_WIDE,
        )
        self._explanation = pn.pane.HTML(
            stylesheets=[_NOTE], margin=(0, 16, 6, 16), sizing_mode="stretch_width"
        )
        self.folds = pmui.TextInput(label="Folds", value="5", **_WIDE)
        self.preset = pmui.Select(
            label="Settings",
            options=labels,
            value="quick" if "quick" in presets() else next(iter(labels.values())),
            **_WIDE,
        )
        self.epochs = pmui.TextInput(label="Epochs", value="20", **_WIDE)
        self.device = pmui.Select(label="Device", options=_DEVICES, value="auto", **_WIDE)
        self.title = pmui.TextInput(label="Title (optional)", placeholder="what you will call it", **_WIDE)
        self.launch = pmui.Button(
            label="Launch",
            variant="contained",
            icon="play_arrow",
            on_click=self._launch,
            sizing_mode="stretch_width",
            margin=(10, 16),
        )
        self._problem = pmui.Alert(
            severity="error", visible=False, sizing_mode="stretch_width", margin=(6, 16)
        )
        self.column = pn.Column(
            pn.pane.HTML("<h3>New experiment</h3>", stylesheets=[_NOTE], margin=(8, 16, 0, 16)),
            self.dataset,
            self.holdout,
            self._explanation,
            self.folds,
            self.preset,
            self.epochs,
            self.device,
            self.title,
            self.launch,
            self._problem,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.holdout.param.watch(self._explain, "value")
        self.preset.param.watch(self._take_preset, "value")
        selection.param.watch(self._list_datasets, ["page", "evaluation"])
        self._list_datasets()
        self._explain()
        self._take_preset()

    def config(self) -> ExperimentConfig:
        """Return the configuration that the form describes.

        Raises
        ------
        ConfigError
            If a value makes no sense; the message names it.
        """
        if self.dataset.value is None:
            raise ConfigError("There is no dataset to train on: put one in the data folder first.")
        config = ExperimentConfig.load(self.preset.value)
        holdout = {"name": self.holdout.value}
        changed = config.replace("data", dataset=str(self._store.dataset_path(self.dataset.value)))
        if self.holdout.value == "random_spatial":
            holdout["folds"] = _number(self.folds)
        if self.holdout.value != config.holdout.name:
            # A preset's periods belong to its own holdout.
            values = changed.model_dump()
            values["holdout"] |= {"train": None, "test": None}
            changed = ExperimentConfig.from_mapping(values)
        changed = changed.replace("holdout", **holdout)
        changed = changed.replace("training", epochs=_number(self.epochs), device=self.device.value)
        return changed.model_copy(update={"title": _typed(self.title)})

    def _launch(self, _: param.parameterized.Event) -> None:
        try:
            config = self.config()
        except ConfigError as error:
            self._refused(str(error))
            return
        self._problem.visible = False
        self.launch.param.update(disabled=True, label="Checking …")
        self._submitting.later(lambda: self._activity.queue.submit(config))

    def _submitted(self, run_id: str) -> None:
        self.launch.param.update(disabled=False, label="Launch")
        self.title.value = self.title.value_input = ""
        self._activity.soon()
        self._selection.experiment = run_id

    def _refused(self, message: str) -> None:
        self.launch.param.update(disabled=False, label="Launch")
        self._problem.param.update(object=readable(message), visible=True)

    def _list_datasets(self, *_: param.parameterized.Event) -> None:
        options = distinct({name: name.rsplit(".", 1)[0] for name in self._store.datasets()})
        if options != self.dataset.options:
            shown = self._selection.dataset
            value = shown if shown in options.values() else next(iter(options.values()), None)
            self.dataset.param.update(options=options, value=value)

    def _explain(self, *_: param.parameterized.Event) -> None:
        self._explanation.object = f"<p>{HOLDOUTS[self.holdout.value][1]}</p>"
        self.folds.visible = self.holdout.value == "random_spatial"

    def _take_preset(self, *_: param.parameterized.Event) -> None:
        config = ExperimentConfig.load(self.preset.value)
        self.epochs.value = self.epochs.value_input = str(config.training.epochs)


def _typed(field: pmui.TextInput) -> str:
    # What stands in the field, also where the reader went on to the button without Enter.
    return str(field.value_input or field.value).strip()


def _number(field: pmui.TextInput) -> int:
    try:
        return int(_typed(field))
    except ValueError:
        raise ConfigError(f"{field.label}: {_typed(field)!r} is not a whole number.") from None


def readable(message: str) -> str:
    """Return a configuration error without its file's name and the names of its sections."""
    lines = [
        line.strip().removeprefix("- ") for line in message.splitlines() if line.strip() != "configuration:"
    ]
    names = {
        "training.epochs": "Epochs",
        "holdout.folds": "Folds",
        "training.device": "Device",
        f"data.{v.SITE}": "Site",
    }
    for key, label in names.items():
        lines = [line.replace(f"{key}:", f"{label}:") for line in lines]
    return "  \n".join(lines)
