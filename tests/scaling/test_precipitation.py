"""Precipitation is recognised by its CF standard name, whatever its name and source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from gsm3core import vocabulary as v
from gsm3core.baselines import predict_fold
from gsm3core.baselines.features import feature_table
from gsm3core.config import DataConfig, ExperimentConfig
from gsm3core.errors import DatasetError
from gsm3core.scaling import DERIVED, Scaler, derived_columns, fit_scaler
from gsm3core.schema import daily_precipitation, precipitation_names
from support.folds import make_fold
from support.small_world import make_dataset

NAMES = ["precipitation", "precipitation_imerg", "precipitation_era5"]
ALL = DataConfig(derived=tuple(DERIVED))
LWE = "lwe_precipitation_rate"


def log_transformed(rain: np.ndarray) -> np.ndarray:
    """The transform of hydroDL, written out."""
    return np.log10(np.sqrt(rain) + 0.1)


def three_sources(sites: int = 12, days: int = 400) -> xr.Dataset:
    """The paper's inputs: MSWEP, IMERG and ERA5 precipitation side by side."""
    ds = make_dataset(sites, days)
    rng = np.random.default_rng(1)
    for name in NAMES[1:]:
        ds[name] = ds["precipitation"] * rng.lognormal(0, 0.4, ds["precipitation"].shape).astype(np.float32)
        ds[name].attrs = dict(ds["precipitation"].attrs)
    return ds


def renamed(name: str, **attrs: str) -> xr.Dataset:
    """Precipitation under another name; attributes as given."""
    ds = make_dataset().rename(precipitation=name)
    ds[name].attrs |= attrs
    return ds


def test_every_precipitation_forcing_is_transformed() -> None:
    """Untransformed, the largest daily amount is tens of standard deviations from the mean."""
    ds = three_sources()
    scaler = fit_scaler(ds, make_fold(ds), DataConfig(forcings=tuple(NAMES)))
    x_STF = scaler.scale_forcings(ds)
    for k, name in enumerate(NAMES):
        rain = ds[name].values.astype(float)
        mean, std = scaler.forcings[name]
        np.testing.assert_allclose(x_STF[..., k], (log_transformed(rain) - mean) / std, atol=1e-5)
        # An untransformed gamma variable exceeds ten here; sqrt and log leave a few standard deviations.
        assert x_STF[..., k].max() < 4
    assert scaler.transformed == tuple(NAMES)


def test_precipitation_is_found_by_its_standard_name() -> None:
    for standard_name in v.TOTAL_PRECIPITATION:
        ds = renamed("rain_gauge", standard_name=standard_name)
        assert precipitation_names(ds) == ["rain_gauge"], standard_name
    for other in ("lwe_snowfall_rate", "snowfall_flux", "rainfall_flux", "convective_precipitation_flux", ""):
        assert precipitation_names(renamed("rain_gauge", standard_name=other)) == [], other
    assert precipitation_names(renamed("rain_gauge")) == []
    # A name of the vocabulary has one meaning, also in a file without the attribute.
    for name in NAMES:
        assert precipitation_names(renamed(name)) == [name]


def test_the_largest_rate_of_a_day_is_no_amount() -> None:
    ds = renamed("rain_max", standard_name=LWE, cell_methods="time: maximum (interval: 3600 s)")
    assert precipitation_names(ds) == []
    ds["rain_max"].attrs["cell_methods"] = "time: mean (interval: 3600 s)"
    assert precipitation_names(ds) == ["rain_max"]


def test_the_first_precipitation_is_that_of_the_vocabulary() -> None:
    ds = three_sources()
    ds["gauge"] = ds["precipitation"].assign_attrs(standard_name=LWE)
    assert precipitation_names(ds) == [*NAMES, "gauge"]
    assert precipitation_names(ds, ["gauge", "air_temperature", "precipitation_era5"]) == [
        "precipitation_era5",
        "gauge",
    ]
    assert precipitation_names(ds, ["air_temperature"]) == []


@pytest.mark.parametrize(
    ("units", "per_day"),
    [("mm d-1", 1.0), ("kg m-2 s-1", 86_400.0), ("m s-1", 86_400e3), ("m", 1e3), ("mm h-1", 24.0)],
)
def test_other_units_give_the_same_inputs(units: str, per_day: float) -> None:
    reference = renamed("gauge", standard_name=LWE, units="mm d-1")
    same = reference.copy(deep=True)
    same["gauge"].values[:] /= per_day
    same["gauge"].attrs["units"] = units
    np.testing.assert_allclose(
        daily_precipitation(same, "gauge"), daily_precipitation(reference, "gauge"), rtol=1e-6
    )
    fold = make_fold(reference)
    one, other = (fit_scaler(ds, fold, ALL).scale_forcings(ds) for ds in (reference, same))
    np.testing.assert_allclose(one, other, atol=2e-4)


def test_unknown_units_are_an_error() -> None:
    ds = renamed("gauge", standard_name=LWE, units="inch")
    with pytest.raises(DatasetError, match=r"forcing 'gauge' is precipitation in 'inch'; expected one of mm"):
        fit_scaler(ds, make_fold(ds), DataConfig())


@pytest.mark.parametrize("name", ["precipitation_era5", "gauge"])
def test_derived_inputs_use_any_precipitation(name: str) -> None:
    """Under another name, the same values give the same columns."""
    reference = make_dataset()
    ds = renamed(name, standard_name=LWE)
    fold = make_fold(ds)
    one, other = fit_scaler(reference, fold, ALL), fit_scaler(ds, fold, ALL)
    assert other.precipitation == name
    assert f"antecedent {name}, 0.9 a day" in other.derived
    same = {k.replace(name, "precipitation"): moments for k, moments in other.derived.items()}
    assert same == one.derived


def test_antecedent_precipitation_is_that_of_one_source() -> None:
    ds = three_sources()
    columns = derived_columns(ds, ["antecedent_precipitation"], NAMES, transformed=())
    only = derived_columns(ds, ["antecedent_precipitation"], ["precipitation"], transformed=())
    assert columns.keys() == only.keys()
    np.testing.assert_array_equal(list(columns.values()), list(only.values()))
    table = feature_table(ds, NAMES, [], np.ones(12, bool))
    assert (
        next(c for c in table.columns if c.startswith("antecedent")) == "antecedent precipitation, 0.5 a day"
    )


def test_without_precipitation_the_error_names_what_counts() -> None:
    ds = renamed("rain")
    with pytest.raises(
        DatasetError, match=r"not among the forcings \(air_temperature, rain\).*standard_name lwe_prec"
    ):
        fit_scaler(ds, make_fold(ds), ALL)


@pytest.mark.parametrize("preset", ["quick", "gsm3"])
def test_presets_accept_precipitation_of_era5_alone(preset: str) -> None:
    ds = renamed("precipitation_era5")
    scaler = fit_scaler(ds, make_fold(ds), ExperimentConfig.load(preset).data)
    assert scaler.transformed == ("precipitation_era5",)
    assert "antecedent precipitation_era5, 0.5 a day" in scaler.derived


@pytest.mark.parametrize("model", ["api_bucket", "gradient_boosting"])
def test_baselines_accept_precipitation_of_era5_alone(model: str) -> None:
    ds, reference = renamed("precipitation_era5"), make_dataset()
    fold = make_fold(ds)
    config = ExperimentConfig.model_validate({"model": {"name": model}})
    found, expected = (
        predict_fold(model, one, fold, config, lambda *_, **__: None, lambda: False)
        for one in (ds, reference)
    )
    if model == "api_bucket":  # boosting samples columns at random, and their order depends on the names
        np.testing.assert_array_equal(found.values, expected.values)
    assert np.isfinite(found.values).any()


def test_a_scaler_of_an_older_run_gives_the_same_inputs(tmp_path: Path) -> None:
    """Older runs transformed `precipitation` alone, and saved only whether they did."""
    ds = three_sources()
    fold = make_fold(ds)
    rain = {n: ds[n].values.astype(float) for n in NAMES}
    moments = {n: (float(x.mean()), float(x.std())) for n, x in rain.items()}
    log = log_transformed(rain["precipitation"])
    moments["precipitation"] = (float(log.mean()), float(log.std()))
    scaler = fit_scaler(ds, fold, DataConfig(forcings=tuple(NAMES), derived=("antecedent_precipitation",)))
    scaler.save(tmp_path / "scaler.json")
    old = json.loads((tmp_path / "scaler.json").read_text())
    del old["transformed"], old["precipitation"]
    old |= {"transform_precipitation": True, "forcings": moments}
    (tmp_path / "scaler.json").write_text(json.dumps(old))
    loaded = Scaler.load(tmp_path / "scaler.json")
    assert (loaded.transformed, loaded.precipitation) == (("precipitation",), "precipitation")
    x_STF = loaded.scale_forcings(ds)
    for k, name in enumerate(NAMES):
        mean, std = moments[name]
        values = log if name == "precipitation" else rain[name]
        np.testing.assert_allclose(x_STF[..., k], (values - mean) / std, rtol=1e-4, atol=1e-4)
    loaded.save(tmp_path / "scaler.json")
    assert Scaler.load(tmp_path / "scaler.json") == loaded


def test_predictions_do_not_need_the_standard_name_again() -> None:
    """The scaler stores which forcings were transformed: another dataset may lack the attribute."""
    ds = renamed("gauge", standard_name=LWE)
    scaler = fit_scaler(ds, make_fold(ds), ALL)
    bare = renamed("gauge")
    np.testing.assert_array_equal(scaler.scale_forcings(bare), scaler.scale_forcings(ds))
