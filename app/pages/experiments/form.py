"""The form of a new experiment: choose, check, launch."""

from __future__ import annotations

import re

import panel as pn
import panel_material_ui as pmui
import param

from app.pages.experiments.holdout_form import NOTE, WIDE, HoldoutForm, typed, whole_number
from app.runtime.tasks import Latest
from app.services.run_monitor import RunMonitor
from app.services.store import Store
from app.session.selection import Selection
from app.ui.labels import distinct
from gsm3core import vocabulary as v
from gsm3core.baselines import API_BUCKET, BASELINES, CLIMATOLOGY, GRADIENT_BOOSTING
from gsm3core.config import ExperimentConfig
from gsm3core.errors import ConfigError, GSM3Error
from gsm3core.resources import presets

_PRESETS = {
    "quick": "Quick: minutes on a laptop",
    "gsm3": "Best: five networks a fold",
    "paper": "Paper: hours, wants a GPU",
    "smap-temporal": "SMAP alone, by period",
}
_DEVICES = {"Automatic": "auto", "CPU": "cpu", "GPU (CUDA)": "cuda"}
LSTM = "multitask_lstm"
_MODELS = {
    "LSTM with two teachers": LSTM,
    "Gradient boosting, to compare": GRADIENT_BOOSTING,
    "Climatology, to compare": CLIMATOLOGY,
    "Rain bucket, to compare": API_BUCKET,
}
_TARGETS = {"All records": "all", "In situ alone": v.SM_INSITU, "SMAP alone": v.SM_SMAP}
_LABELS = {
    "training.epochs": "Epochs",
    "training.members": "Networks per fold",
    "training.device": "Device",
    "holdout.folds": "Folds",
    "holdout.block_km": "Side of a block (km)",
    "holdout.train": "Training days",
    "holdout.test": "Test days",
    "holdout.sites": "Sites",
    "holdout.networks": "Networks",
    "holdout.polygon": "an area on the map",
}
# A key is what its field is called, at the head of a line or within a sentence; of a section alone only at the head.
_KEYS = re.compile(
    rf"(?<![\w/.\\])(?:{'|'.join(map(re.escape, _LABELS))})(?!\w|\.\w)|^holdout(?=:)", re.MULTILINE
)
_LABELS["holdout"] = "Periods"


class ExperimentForm:
    """What to train, on what, and what to hold out.

    Parameters
    ----------
    selection
        Of the visitor; a launch makes its experiment the one that is followed.
    store, activity
        Of the server.
    """

    def __init__(self, selection: Selection, store: Store, activity: RunMonitor) -> None:
        self._selection = selection
        self._store = store
        self._activity = activity
        self._submitting: Latest[str] = Latest(self._submitted, self._refused)
        labels = {_PRESETS.get(name, name): name for name in presets()}
        self.dataset = pmui.Select(
            label="Dataset",
            options={},
            description="What the model learns from; see the Data page for what each holds.",
            **WIDE,
        )
        self.holdout = HoldoutForm()
        self.model = pmui.Select(
            label="Model",
            options={label: n for label, n in _MODELS.items() if n == LSTM or n in BASELINES},
            value=LSTM,
            description="The comparison models learn from the same sites and days: what the LSTM must beat.",
            **WIDE,
        )
        self.targets = pmui.Select(
            label="Learn from",
            options=_TARGETS,
            value="all",
            description="The soil-moisture records that teach. The paper's model learns from in situ and SMAP at once.",
            **WIDE,
        )
        self.preset = pmui.Select(
            label="Settings",
            options=labels,
            value="quick" if "quick" in presets() else next(iter(labels.values())),
            description="Size of the network and how it is fitted; the run keeps all of it in its configuration.",
            **WIDE,
        )
        self.epochs = pmui.TextInput(
            label="Epochs",
            value="20",
            description="Rounds of training; the settings say how many updates one has.",
            **WIDE,
        )
        self.members = pmui.TextInput(
            label="Networks per fold",
            value="1",
            description="Several networks that start differently; their mean predicts, and costs as many times as much.",
            **WIDE,
        )
        self.device = pmui.Select(
            label="Device",
            options=_DEVICES,
            value="auto",
            description="What it is trained on; automatic takes a GPU where there is one.",
            **WIDE,
        )
        self.title = pmui.TextInput(
            label="Title (optional)",
            placeholder="what you will call it",
            description="How the run is listed everywhere; without one it goes by its holdout.",
            **WIDE,
        )
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
        self.model.param.watch(self._fit_model, "value")
        self.preset.param.watch(self._take_preset, "value")
        selection.param.watch(self._list_datasets, ["page", "evaluation"])
        self._list_datasets()
        self._take_preset()

    def config(self) -> ExperimentConfig:
        """Return the configuration that the form describes.

        Raises
        ------
        GSM3Error
            If a value makes no sense; the message names it.
        """
        if self.dataset.value is None:
            raise ConfigError("There is no dataset to train on: add one on the Data page first.")
        config = ExperimentConfig.load(self.preset.value)
        values = config.model_dump()
        values["title"] = typed(self.title)
        values["data"]["dataset"] = str(self._store.dataset_path(self.dataset.value))
        if self.targets.value != "all":
            values["data"]["targets"] = (self.targets.value,)
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

    def _fit_model(self, *_: param.parameterized.Event) -> None:
        for widget in (self.preset, self.epochs, self.members, self.device):
            widget.visible = self.model.value == LSTM

    def _take_preset(self, *_: param.parameterized.Event) -> None:
        config = ExperimentConfig.load(self.preset.value)
        self.epochs.value = self.epochs.value_input = str(config.training.epochs)
        self.members.value = self.members.value_input = str(config.training.members)
        targets = config.data.targets
        self.targets.value = targets[0] if targets and len(targets) == 1 else "all"
        self.holdout.take(config.holdout)


def readable(message: str, train: str = _LABELS["holdout.train"]) -> str:
    """Return a configuration error without its file's name, its keys called as the fields of the form are.

    Parameters
    ----------
    message
        The error's.
    train
        What the field of the training days is called at the moment.
    """
    labels = _LABELS | {"holdout.train": train}
    lines = [
        line.strip().removeprefix("- ") for line in message.splitlines() if line.strip() != "configuration:"
    ]
    return re.sub(_KEYS, lambda key: labels[key[0]], "  \n".join(lines))
