"""The sections of a configuration: keys, defaults, bounds and descriptions."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys are an error."""

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
    """Inputs and training targets of a run; ``None`` for a list means all of the dataset."""

    dataset: str = Field("", description="path of a SiteDataset")
    forcings: tuple[str, ...] | None = Field(None, min_length=1, description="daily inputs")
    attributes: tuple[str, ...] | None = Field(None, description="static inputs")
    targets: tuple[str, ...] | None = Field(
        None, min_length=1, description="training targets: soil-moisture records"
    )
    fill_forcing: Literal["mean", "interpolate"] = Field(
        "mean",
        description="mean: a missing forcing value becomes the training mean of its variable (0 after scaling, as in "
        "hydroDL); interpolate: gaps are interpolated in time first",
    )
    transform_precipitation: bool = Field(
        True,
        description="log10(sqrt(x) + 0.1) of every precipitation forcing in mm per day before scaling; precipitation is "
        "what has the CF standard_name of total precipitation",
    )
    derived: tuple[Literal["season", "antecedent_precipitation", "running_means"], ...] = Field(
        (),
        description="additional daily inputs derived from the forcings, never from soil moisture. season: sine and cosine "
        "of the time of year; antecedent_precipitation: weighted means over the previous days, with five half-lives of 1 "
        "to 34 days, of `precipitation` or, without it, of the first other precipitation forcing; running_means: of every "
        "forcing over 30 and 90 days",
    )
    flag_missing: bool = Field(
        False,
        description="adds an indicator input for every variable with gaps in training: 1 where it is missing. For joined "
        "datasets whose parts have different inputs",
    )


class HoldoutConfig(Section):
    """The holdout: which sites and days are for training and which for test."""

    name: Literal["temporal", "random_spatial", "cross_continental", "spatial_block", "custom"] = (
        "random_spatial"
    )
    folds: int = Field(5, ge=2, le=100, description="folds of random_spatial and spatial_block")
    seed: int = Field(0, ge=0)
    train: Period | None = Field(
        None, description="training period; for spatial holdouts also the test period"
    )
    test: Period | None = Field(None, description="test period of the temporal holdout")
    regions: str = Field(
        "gsm3-paper",
        description="regions of cross_continental: a scheme of the data catalogue (gsm3-paper, continents, climates, countries) "
        "or the path of a GeoJSON file, a FeatureCollection of polygons with a property name",
    )
    buffer_km: float = Field(
        100.0,
        ge=0,
        le=5000,
        description="width of the buffer around the region that cross_continental holds out, km: sites in it neither train nor "
        "test in that fold. 100 km are three footprints of SMAP (33 km) or cells of ERA5 (31 km), so that no input or target of "
        "a training site is averaged over the region; 0 in the paper",
    )
    outside: Literal["fold", "exclude", "train"] = Field(
        "fold",
        description="sites in no region in cross_continental. fold: a fold of their own, Other; exclude: neither training nor "
        "test; train: in training in every fold and never tested, as in runs stored before this key existed",
    )
    block_km: float = Field(500.0, gt=0, le=10_000, description="side of a block of spatial_block, km")
    group_grid: Literal["M09", "M36"] | None = Field(
        None,
        description="EASE-Grid 2.0 whose cells hold out their sites together: M09 (9 km), M36 (36 km); None: that of sm_smap",
    )
    group_km: float = Field(
        1.0,
        ge=0,
        le=5000,
        description="sites up to this distance apart, km, are held out together, through chains of sites; 0: only the sites "
        "of a cell, as in runs stored before. 1 keeps a station that is in the dataset twice in one fold, 33 is the footprint "
        "of SMAP on the 9 km grid",
    )
    sites: tuple[str, ...] | None = Field(None, description="ids of the sites that custom holds out")
    networks: tuple[str, ...] | None = Field(None, description="networks that custom holds out")
    polygon: tuple[tuple[float, float], ...] | None = Field(
        None, min_length=3, description="corners (longitude, latitude) of the area that custom holds out"
    )
    only_folds: tuple[str, ...] | None = Field(None, min_length=1, description="run only these folds")

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
                f"({self.train.start} to {self.train.end}); a temporal holdout needs disjoint periods"
            )
        return self


class ModelConfig(Section):
    """The network (linear + ReLU to ``hidden``, LSTM, linear to the output), or a baseline by its name."""

    name: str = "multitask_lstm"
    hidden: int = Field(64, ge=1, le=4096)
    dropout: Fraction = 0.3
    dropout_on: Literal["weights", "outputs"] = Field(
        "outputs",
        description="weights: weight dropout in the LSTM, with a new mask for each forward pass, as in hydroDL; outputs: "
        "dropout of its output",
    )
    attribute_noise: float = Field(
        0.0,
        ge=0,
        description="standard deviation of noise added to the scaled attributes of every window in training",
    )
    forcing_noise: float = Field(
        0.0,
        ge=0,
        description="standard deviation of a random offset added to the scaled daily inputs in training: one value per "
        "input and window, constant over its days",
    )
    forget_bias: float | Literal["uniform"] = Field(
        1.0,
        description="initial bias of the LSTM's forget gates. uniform: random, as all other weights of the LSTM, as in "
        "hydroDL",
    )
    heads: Literal["shared", "separate", "affine"] = Field(
        "shared",
        description="how the training targets share the network. shared: one output series y for all, as in the paper; "
        "separate: an output layer for each; affine: y for the first target, a + b y for each other",
    )
    head: Literal["point", "gaussian"] = Field(
        "point",
        description="point: one value per day, fitted by RMSE; gaussian: a normal distribution censored at 0 and 1, fitted "
        "by maximum likelihood",
    )


class TrainingConfig(Section):
    """Training of the network. The number of updates is ``epochs`` times ``updates_per_epoch``."""

    epochs: int = Field(20, ge=1, le=100_000)
    updates_per_epoch: int | None = Field(
        None,
        ge=1,
        description="None: ceil(ln 0.01 / ln(1 - batch * window / (sites * days))), hydroDL's rule",
    )
    batch: int = Field(64, ge=1, description="windows of each stream in one update")
    window: int = Field(180, ge=2, description="days in a window")
    warmup: int = Field(0, ge=0, description="first days of a window that give no loss")
    spin_up_days: Annotated[int, Field(ge=0, le=3650)] | Literal["warmup"] = Field(
        365,
        description="days of forcings that precede each record in prediction: its first year, repeated. 0: a cold start, "
        "state zero on the first day of a record, as in the paper's code; warmup: the first warmup days run twice, as in "
        "runs stored before this key existed",
    )
    optimizer: Literal["adamw", "adadelta"] = "adamw"
    learning_rate: float = Field(3e-3, gt=0)
    schedule: Literal["one_cycle", "constant"] = Field(
        "one_cycle", description="one_cycle: short rise, cosine fall"
    )
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(
        1.0, ge=0, description="gradient clipping: largest gradient norm; 0 turns it off"
    )
    satellite_weight: float = Field(
        1.0, ge=0, description="weight of the satellite term in the loss; 1 in the paper"
    )
    dynamics_weight: float = Field(
        0.0,
        ge=0,
        description="weight of an additional loss term for each stream: the RMSE after each window's mean error is "
        "subtracted, as the mean level of new sites cannot be predicted; 0 in the paper",
    )
    seed: int = Field(0, ge=0, description="seed of the first member; the others use the numbers that follow")
    members: int = Field(
        1, ge=1, le=100, description="networks per fold, with different seeds; the prediction is their mean"
    )
    validation_share: Fraction = Field(
        0.0,
        description="share of the training sites used as validation sites; the weights with the best score there are kept",
    )
    validation_score: Literal["R", "RMSE", "last"] = Field(
        "R",
        description="median over the validation sites by which the best weights are chosen. R: preferred, as the RMSE at new "
        "sites is mostly their bias, which no weights can predict; last: the last weights are kept, and the validation sites "
        "only monitor training and calibrate the predictive standard deviation",
    )
    patience: int = Field(
        0,
        ge=0,
        description="early stopping: epochs without a better score at the validation sites; 0 turns it off",
    )
    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32",
        description="bf16: matrix products in 16 bits, weights and loss in 32; auto: bf16 where the hardware supports it; "
        "fp16: on a GPU only, with a scaled loss",
    )
    cuda_graph: bool = Field(
        False,
        description="on a GPU, capture a training step as a CUDA graph and replay it; not yet tested on a GPU",
    )
    inputs: Literal["memory", "disk"] = Field(
        "memory",
        description="where the scaled forcings are held in training: memory of the device, or a Zarr store in the run, "
        "deleted after its fold, for forcings that do not fit; identical results on a CPU",
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:all|:\d+(,cuda:\d+)*)?)$")] = Field(
        "auto", description="one device, or several GPUs for parallel folds: cuda:0,cuda:1 or cuda:all"
    )
    folds_at_once: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        1,
        description="folds trained in parallel on each device, each in its own process; auto: one on a GPU, on a CPU one "
        "per processor and 4 GB of memory, at most four",
    )

    @model_validator(mode="after")
    def _warmup_fits_window(self) -> Self:
        if self.warmup >= self.window:
            raise ValueError(f"warmup ({self.warmup} days) must be shorter than window ({self.window} days)")
        return self

    @model_validator(mode="after")
    def _patience_has_sites(self) -> Self:
        if self.patience and not self.validation_share:
            raise ValueError(
                f"patience ({self.patience} epochs) needs validation sites; set validation_share above 0"
            )
        if self.patience and self.validation_score == "last":
            raise ValueError(
                f"patience ({self.patience} epochs) needs validation_score 'R' or 'RMSE', not 'last'"
            )
        return self

    @model_validator(mode="after")
    def _gpu_where_needed(self) -> Self:
        if self.cuda_graph and self.device == "cpu":
            raise ValueError("cuda_graph needs a GPU, but device is 'cpu'")
        if self.precision == "fp16" and self.device == "cpu":
            raise ValueError("precision 'fp16' needs a GPU, but device is 'cpu'; use 'bf16' or 'fp32'")
        if self.precision == "fp16" and self.optimizer != "adamw":
            raise ValueError(
                f"precision 'fp16' needs the optimizer 'adamw', not {self.optimizer!r}: only fused AdamW skips an update "
                "with overflowing gradients on the device"
            )
        return self


class ScoreConfig(Section):
    """Settings of the scores."""

    min_days: int = Field(30, ge=2, description="fewest paired days; sites with fewer have no score")
    confidence: float = Field(0.95, gt=0, lt=1)
