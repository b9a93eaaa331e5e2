"""One experiment as a frozen, typed configuration, read from TOML; unknown keys are refused."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gsm3core import resources
from gsm3core import vocabulary as v
from gsm3core.errors import ConfigError, did_you_mean

Fraction = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Period(_Section):
    """A range of days, both ends included."""

    start: dt.date
    end: dt.date

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"the period ends ({self.end}) before it starts ({self.start})")
        return self


class DataConfig(_Section):
    """What a run reads; ``None`` for a list means all that the dataset has."""

    dataset: str = Field("", description="path of a SiteDataset")
    forcings: tuple[str, ...] | None = Field(None, description="daily inputs")
    attributes: tuple[str, ...] | None = Field(None, description="static inputs")
    targets: tuple[str, ...] | None = Field(None, description="soil-moisture records to learn from")
    fill_forcing: Literal["mean", "interpolate"] = Field(
        "mean",
        description="a missing forcing value becomes the training mean of its variable (0 after scaling, as the "
        "lineage does), or is interpolated in time first",
    )
    transform_precipitation: bool = Field(True, description="log10(sqrt(x) + 0.1) before scaling")


class HoldoutConfig(_Section):
    """What is held out, and which days train and test."""

    name: Literal["temporal", "random_spatial", "cross_continental", "spatial_block", "custom"] = (
        "random_spatial"
    )
    folds: int = Field(5, ge=2, le=100, description="folds of random_spatial and spatial_block")
    seed: int = Field(0, ge=0)
    train: Period | None = Field(
        None, description="days that train; for spatial holdouts also the days that test"
    )
    test: Period | None = Field(None, description="days that test, for the temporal holdout")
    block_km: float = Field(500.0, gt=0, le=10_000, description="side of a block of spatial_block, km")
    sites: tuple[str, ...] | None = Field(None, description="ids of the sites that custom holds out")
    networks: tuple[str, ...] | None = Field(None, description="networks that custom holds out")
    polygon: tuple[tuple[float, float], ...] | None = Field(
        None, min_length=3, description="corners (longitude, latitude) of the ground that custom holds out"
    )
    only_folds: tuple[str, ...] | None = Field(None, description="run these folds alone")

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        if (
            self.name == "temporal"
            and self.train
            and self.test
            and self.train.start <= self.test.end
            and self.test.start <= self.train.end
        ):
            raise ValueError(
                f"the test period ({self.test.start} to {self.test.end}) overlaps the training period "
                f"({self.train.start} to {self.train.end}); a temporal holdout tests on other days"
            )
        return self


class ModelConfig(_Section):
    """The network: linear + ReLU to ``hidden``, LSTM, linear to one value."""

    name: str = "multitask_lstm"
    hidden: int = Field(64, ge=1, le=4096)
    dropout: Fraction = 0.3
    dropout_on: Literal["weights", "outputs"] = Field(
        "outputs",
        description="weights: a fresh mask on the LSTM's weights each forward pass, as the lineage does",
    )


class TrainingConfig(_Section):
    """How the network is fitted. The number of updates is ``epochs`` times ``updates_per_epoch``."""

    epochs: int = Field(20, ge=1, le=100_000)
    updates_per_epoch: int | None = Field(
        None,
        ge=1,
        description="None: ceil(ln 0.01 / ln(1 - batch * window / (sites * days))), the lineage's rule",
    )
    batch: int = Field(64, ge=1, description="windows of each stream in one update")
    window: int = Field(180, ge=2, description="days in a window")
    warmup: int = Field(0, ge=0, description="first days of a window that give no loss")
    optimizer: Literal["adamw", "adadelta"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    schedule: Literal["one_cycle", "constant"] = Field(
        "one_cycle", description="one_cycle: short rise, cosine fall"
    )
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(1.0, ge=0, description="largest norm of the gradient; 0 for no limit")
    satellite_weight: float = Field(
        1.0, ge=0, description="factor of the satellite term in the loss; 1 in the paper"
    )
    seed: int = Field(0, ge=0)
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"

    @model_validator(mode="after")
    def _loss_left(self) -> Self:
        if self.warmup >= self.window:
            raise ValueError(
                f"warmup ({self.warmup} days) leaves nothing of the window ({self.window} days) to learn from"
            )
        return self


class ScoreConfig(_Section):
    """What a score needs."""

    min_days: int = Field(30, ge=2, description="fewest paired days; a site with fewer has no score")
    confidence: float = Field(0.95, gt=0, lt=1)


class ExperimentConfig(_Section):
    """One experiment: data, holdout, model, training, scores.

    Raises
    ------
    ConfigError
        From :meth:`load` and :meth:`from_mapping`: an unknown key (with the nearest known one) or a bad value.
    """

    title: str = ""
    data: DataConfig = DataConfig()
    holdout: HoldoutConfig = HoldoutConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    scores: ScoreConfig = ScoreConfig()

    @classmethod
    def from_mapping(cls, values: dict[str, Any], *, source: str = "configuration") -> ExperimentConfig:
        """Check a nested mapping, as TOML gives it.

        Parameters
        ----------
        values
            Sections and their keys.
        source
            What the error calls it: the file's path.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(
                f"{source}:\n" + "\n".join(f"  - {_explain(e)}" for e in error.errors())
            ) from None

    @classmethod
    def load(cls, name_or_path: str | Path) -> ExperimentConfig:
        """Read a preset by its name, or a TOML file by its path.

        Parameters
        ----------
        name_or_path
            ``quick``, ``paper``, ``smap-temporal``, or a file.
        """
        presets = resources.presets()
        path = presets.get(str(name_or_path), Path(name_or_path))
        if not path.is_file():
            raise ConfigError(
                f"{name_or_path} is neither a configuration file nor a preset. {did_you_mean(str(name_or_path), presets)}"
            )
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}.") from error
        return cls.from_mapping(values, source=str(path))

    def replace(self, section: str, **changes: Any) -> ExperimentConfig:
        """Return a copy with keys of one section changed, checked again.

        Parameters
        ----------
        section
            ``data``, ``holdout``, ``model``, ``training`` or ``scores``.
        **changes
            New values; a key whose value is ``None`` is left as it is.
        """
        values = self.model_dump()
        values[section] |= {k: value for k, value in changes.items() if value is not None}
        return type(self).from_mapping(values)

    def to_toml(self) -> str:
        """Return the configuration as TOML that :meth:`load` reads back equal."""
        top, sections = [], []
        for key, value in self.model_dump(exclude_none=True).items():
            if isinstance(value, dict):
                sections.append(f"\n[{key}]\n" + "".join(f"{k} = {_toml(x)}\n" for k, x in value.items()))
            else:
                top.append(f"{key} = {_toml(value)}\n")
        return "".join(top + sections)


def _explain(error: Any) -> str:
    where = ".".join(map(str, error["loc"])) or "configuration"
    if error["type"] == "extra_forbidden":
        section: Any = ExperimentConfig
        for part in error["loc"][:-1]:
            field = section.model_fields[part].annotation
            section = field if isinstance(field, type) else Period
        return f"{where} is not a key. {did_you_mean(str(error['loc'][-1]), section.model_fields)}"
    if error["loc"] == ("holdout", "name"):
        return f"holdout {error['input']!r} is not known. {did_you_mean(str(error['input']), v.HOLDOUTS)}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')} (given: {error['input']!r})"


def _toml(value: Any) -> str:
    import json

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(x)}" for k, x in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dt.date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
