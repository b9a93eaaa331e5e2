"""Form of a new experiment."""

from __future__ import annotations

import re

import panel as pn
import panel_material_ui as pmui
import param

from app.pages.experiments.holdout_form import NOTE, WIDE, HoldoutForm, field_text, whole_number
from app.runtime.tasks import LatestTask
from app.services.run_monitor import RunMonitor
from app.services.store import Store
from app.session.selection import Selection
from app.ui.labels import unique_labels
from gsm3core import vocabulary as v
from gsm3core.baselines import API_BUCKET, BASELINES, CLIMATOLOGY, GRADIENT_BOOSTING
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError, GSM3Error
from gsm3core.resources import presets

_PRESETS = {
    "quick": "Quick: minutes on a laptop",
    "gsm3": "GSM3: ensemble of five networks",
    "paper": "Paper: network and training only; hours, GPU recommended",
    "paper-temporal": "Paper, temporal: its inputs and periods",
    "paper-spatial": "Paper, random spatial: its inputs and period",
    "paper-cross-continental": "Paper, cross-continental: its inputs and period",
    "smap-temporal": "SMAP only, temporal holdout",
}
_DEVICES = {"Automatic": "auto", "CPU": "cpu", "GPU (CUDA)": "cuda"}
LSTM = "multitask_lstm"
_MODELS = {
    "Multitask LSTM": LSTM,
    "Gradient boosting (baseline)": GRADIENT_BOOSTING,
    "Climatology (baseline)": CLIMATOLOGY,
    "Precipitation bucket (baseline)": API_BUCKET,
}
_TARGETS = {"All records": "all", "In situ only": v.SM_INSITU, "SMAP only": v.SM_SMAP}
_LABELS = {
    "training.epochs": "Epochs",
    "training.members": "Ensemble members",
    "training.device": "Device",
    "holdout.folds": "Folds",
    "holdout.block_km": "Block size (km)",
    "holdout.group_km": "Held out together within (km)",
    "holdout.regions": "Regions",
    "holdout.buffer_km": "Buffer (km)",
    "holdout.outside": "Sites in no region",
    "holdout.train": "Training days",
    "holdout.test": "Test days",
    "holdout.sites": "Sites",
    "holdout.networks": "Networks",
    "holdout.polygon": "an area on the map",
}
# Configuration keys anywhere in a message; the bare section name only at the start of a line.
_KEYS = re.compile(
    rf"(?<![\w/.\\])(?:{'|'.join(map(re.escape, _LABELS))})(?!\w|\.\w)|^holdout(?=:)", re.MULTILINE
)
_LABELS["holdout"] = "Periods"


class ExperimentForm:
    """Dataset, holdout, model and training settings; a launched experiment becomes the selected one."""

    def __init__(self, selection: Selection, store: Store, monitor: RunMonitor) -> None:
        self._selection = selection
        self._store = store
        self._monitor = monitor
        self._submitting: LatestTask[str] = LatestTask(self._show_submitted, self._show_error)
        self._make_data_widgets()
        self._make_training_widgets()
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
            pn.pane.HTML("<h2>New experiment</h2>", stylesheets=[NOTE], margin=(8, 16, 0, 16)),
            self.dataset,
            self.holdout.column,
            self.model,
            self.targets,
            self.preset,
            self.epochs,
            self.members,
            self.device,
            self.title,
            self.launch,
            self._problem,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.model.param.watch(self._show_training_widgets, "value")
        self.preset.param.watch(self._apply_preset, "value")
        selection.param.watch(self._update_datasets, ["page", "evaluation"])
        self._update_datasets()
        self._apply_preset()

    def _make_data_widgets(self) -> None:
        self.dataset = _select(
            "Dataset", {}, None, "Sites and series to train on; the Data page lists their contents."
        )
        self.holdout = HoldoutForm()
        self.model = _select(
            "Model",
            {label: n for label, n in _MODELS.items() if n == LSTM or n in BASELINES},
            LSTM,
            "Baselines are trained on the same sites and days as the LSTM.",
        )
        self.targets = _select(
            "Training targets",
            _TARGETS,
            "all",
            "Soil-moisture records used as targets. The paper trains on in situ and SMAP together.",
        )

    def _make_training_widgets(self) -> None:
        labels = {_PRESETS.get(name, name): name for name in presets()}
        self.preset = _select(
            "Settings",
            labels,
            "quick" if "quick" in presets() else next(iter(labels.values())),
            "Network size and training settings; the run stores the complete configuration.",
        )
        self.epochs = _text_input(
            "Epochs", "20", "Rounds of training; the settings define the number of updates in each."
        )
        self.members = _text_input(
            "Ensemble members",
            "1",
            "Networks per fold with different initial weights; their mean is the prediction.",
        )
        self.device = _select(
            "Device", _DEVICES, "auto", "Training device; automatic uses a GPU if there is one."
        )
        self.title = pmui.TextInput(
            label="Title (optional)",
            placeholder="name of the run",
            description="Name of the run in all lists; by default its holdout.",
            **WIDE,
        )

    def config(self) -> ExperimentConfig:
        """Return the configuration of the form.

        Raises
        ------
        GSM3Error
            If a value is invalid; the message names the field.
        """
        if self.dataset.value is None:
            raise ConfigError("There is no dataset to train on: add one on the Data page first.")
        config = ExperimentConfig.load(self.preset.value)
        values = config.model_dump()
        values["title"] = field_text(self.title)
        values["data"]["dataset"] = str(self._store.dataset_path(self.dataset.value))
        values["data"]["targets"] = None if self.targets.value == "all" else (self.targets.value,)
        values["holdout"] |= self.holdout.values()
        values["model"]["name"] = self.model.value
        values["training"]["device"] = self.device.value
        if self.model.value == LSTM:
            values["training"] |= {"epochs": whole_number(self.epochs), "members": whole_number(self.members)}
        return ExperimentConfig.from_mapping(values)

    def _launch(self, _: param.parameterized.Event) -> None:
        try:
            config = self.config()
        except GSM3Error as error:
            self._show_error(str(error))
            return
        self._problem.visible = False
        self.launch.param.update(disabled=True, label="Checking …")
        self._submitting.run_in_background(lambda: self._monitor.queue.submit(config))

    def _show_submitted(self, run_id: str) -> None:
        self.launch.param.update(disabled=False, label="Launch")
        self.title.value = self.title.value_input = ""
        self._monitor.wake()
        self._selection.experiment = run_id

    def _show_error(self, message: str) -> None:
        self.launch.param.update(disabled=False, label="Launch")
        self._problem.param.update(object=readable_error(message), visible=True)

    def _update_datasets(self, *_: param.parameterized.Event) -> None:
        options = unique_labels({name: name.rsplit(".", 1)[0] for name in self._store.datasets()})
        if options != self.dataset.options:
            shown = self._selection.dataset
            value = shown if shown in options.values() else next(iter(options.values()), None)
            self.dataset.param.update(options=options, value=value)

    def _show_training_widgets(self, *_: param.parameterized.Event) -> None:
        for widget in (self.preset, self.epochs, self.members, self.device):
            widget.visible = self.model.value == LSTM

    def _apply_preset(self, *_: param.parameterized.Event) -> None:
        config = ExperimentConfig.load(self.preset.value)
        self.epochs.value = self.epochs.value_input = str(config.training.epochs)
        self.members.value = self.members.value_input = str(config.training.members)
        targets = config.data.targets
        self.targets.value = targets[0] if targets and len(targets) == 1 else "all"
        self.holdout.apply_preset(config.holdout)


def _select(label: str, options: dict[str, str], value: str | None, description: str) -> pmui.Select:
    return pmui.Select(label=label, options=options, value=value, description=description, **WIDE)


def _text_input(label: str, value: str, description: str) -> pmui.TextInput:
    return pmui.TextInput(label=label, value=value, description=description, **WIDE)


def readable_error(message: str, train: str = _LABELS["holdout.train"]) -> str:
    """Return a configuration error with the labels of the form in place of configuration keys.

    Parameters
    ----------
    message
        The error message.
    train
        Current label of the training days.
    """
    labels = _LABELS | {"holdout.train": train}
    lines = [
        line.strip().removeprefix("- ") for line in message.splitlines() if line.strip() != "configuration:"
    ]
    return re.sub(_KEYS, lambda key: labels[key[0]], "  \n".join(lines))
