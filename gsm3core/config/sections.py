"""The sections of a configuration: every key, its default, its bounds and what it is for."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Frozen; an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Period(Section):
    """A range of days, both ends included."""

    start: dt.date
    end: dt.date

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"the period ends ({self.end}) before it starts ({self.start})")
        return self


class DataConfig(Section):
    """What a run reads; ``None`` for a list means all that the dataset has."""

    dataset: str = Field("", description="path of a SiteDataset")
    forcings: tuple[str, ...] | None = Field(None, min_length=1, description="daily inputs")
    attributes: tuple[str, ...] | None = Field(None, description="static inputs")
    targets: tuple[str, ...] | None = Field(
        None, min_length=1, description="soil-moisture records to learn from"
    )
    fill_forcing: Literal["mean", "interpolate"] = Field(
        "mean",
        description="a missing forcing value becomes the training mean of its variable (0 after scaling, as the "
        "lineage does), or is interpolated in time first",
    )
    transform_precipitation: bool = Field(True, description="log10(sqrt(x) + 0.1) before scaling")
    derived: tuple[Literal["season", "antecedent_precipitation", "running_means"], ...] = Field(
        (),
        description="further daily inputs made from the forcings, never from soil moisture. season: sine and cosine of the "
        "time of year; antecedent_precipitation: its weighted mean over the days before, five memories of 1 day to two "
        "months; running_means: of every forcing over 30 and 90 days",
    )
    flag_missing: bool = Field(
        False,
        description="one more input for every variable with gaps in training: 1 where it is missing. For joined "
        "datasets whose parts do not have the same inputs",
    )


class HoldoutConfig(Section):
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
    only_folds: tuple[str, ...] | None = Field(None, min_length=1, description="run these folds alone")

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


class ModelConfig(Section):
    """The network: linear + ReLU to ``hidden``, LSTM, linear to the output; or a comparison model by its name."""

    name: str = "multitask_lstm"
    hidden: int = Field(64, ge=1, le=4096)
    dropout: Fraction = 0.3
    dropout_on: Literal["weights", "outputs"] = Field(
        "outputs",
        description="weights: a fresh mask on the LSTM's weights each forward pass, as the lineage does",
    )
    attribute_noise: float = Field(
        0.0,
        ge=0,
        description="standard deviation of noise added to the scaled attributes of every window while training",
    )
    forcing_noise: float = Field(
        0.0,
        ge=0,
        description="standard deviation of an offset added to every scaled daily input of a window while training: one draw "
        "for each input and window, the same on all its days",
    )
    heads: Literal["shared", "separate", "affine"] = Field(
        "shared",
        description="how the teachers share the network. shared: one output series for all of them, as in the paper; "
        "separate: a layer of its own for each; affine: one series, and each other teacher sees a + b y of it",
    )
    head: Literal["point", "gaussian"] = Field(
        "point",
        description="point: one value a day, fitted by RMSE; gaussian: a normal distribution censored at 0 and 1, fitted by "
        "its likelihood",
    )


class TrainingConfig(Section):
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
    dynamics_weight: float = Field(
        0.0,
        ge=0,
        description="factor of one more term for each stream: the RMSE that is left when each window's mean error is taken "
        "away, which is what can be learnt about sites whose own offset cannot be known; 0 in the paper",
    )
    seed: int = Field(0, ge=0, description="of the first member; the others have the numbers that follow")
    members: int = Field(
        1, ge=1, le=100, description="networks per fold, of different seeds; their mean predicts"
    )
    validation_share: Fraction = Field(
        0.0,
        description="share of the training sites held back; the weights that score best there are kept",
    )
    validation_score: Literal["R", "RMSE", "last"] = Field(
        "R",
        description="by which median over the held-back sites the best weights are chosen. R: at new sites the RMSE is "
        "mostly the sites' own offsets, which no weights can know; last: none, the last weights are kept, and the sites "
        "serve to watch training and to learn the spread's factor",
    )
    patience: int = Field(
        0, ge=0, description="epochs without a better score at the held-back sites before it stops; 0: never"
    )
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32",
        description="bf16: matrix products in 16 bits, weights and loss in 32; auto: where the processor has it; fp16: "
        "on a GPU alone, with a scaled loss",
    )
    cuda_graph: bool = Field(
        False,
        description="on a GPU, record a training step once and start it as a whole; not yet run on a GPU",
    )
    inputs: Literal["memory", "disk"] = Field(
        "memory",
        description="where the scaled forcings are while training: memory (of the device), or a Zarr store in the run, "
        "deleted after its fold, for forcings that do not fit; the same numbers on a CPU",
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:all|:\d+(,cuda:\d+)*)?)$")] = Field(
        "auto", description="one, or several GPUs that the folds are spread over: cuda:0,cuda:1 or cuda:all"
    )
    folds_at_once: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        1,
        description="folds trained at once on each device, each in a process of its own; auto: one on a GPU, on a CPU one "
        "for each processor and each 4 GB of memory, at most four",
    )

    @model_validator(mode="after")
    def _loss_left(self) -> Self:
        if self.warmup >= self.window:
            raise ValueError(
                f"warmup ({self.warmup} days) leaves nothing of the window ({self.window} days) to learn from"
            )
        return self

    @model_validator(mode="after")
    def _patience_has_sites(self) -> Self:
        if self.patience and not self.validation_share:
            raise ValueError(
                f"patience ({self.patience} epochs) needs validation_share: without held-back sites there is no score to wait for"
            )
        if self.patience and self.validation_score == "last":
            raise ValueError(
                f"patience ({self.patience} epochs) waits for a better score, but validation_score is 'last'"
            )
        return self

    @model_validator(mode="after")
    def _gpu_where_needed(self) -> Self:
        if self.cuda_graph and self.device == "cpu":
            raise ValueError("cuda_graph needs a GPU, but device is 'cpu'")
        if self.precision == "fp16" and self.device == "cpu":
            raise ValueError(
                "precision 'fp16' needs a GPU, but device is 'cpu'; 'bf16' is what a CPU may have"
            )
        if self.precision == "fp16" and self.optimizer != "adamw":
            raise ValueError(
                f"precision 'fp16' needs the optimizer 'adamw', not {self.optimizer!r}: only its update leaves out a "
                "gradient that overflows without asking the device"
            )
        return self


class ScoreConfig(Section):
    """What a score needs."""

    min_days: int = Field(30, ge=2, description="fewest paired days; a site with fewer has no score")
    confidence: float = Field(0.95, gt=0, lt=1)
