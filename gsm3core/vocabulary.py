"""Names of dimensions, variables, units, products and regions, defined once."""

from __future__ import annotations

from dataclasses import dataclass

SITE = "site"
TIME = "time"
PRODUCT = "product"

SM_INSITU = "sm_insitu"
SM_SMAP = "sm_smap"
SM_PRODUCT = "sm_product"
SM_PREDICTED = "sm_predicted"
SM_PREDICTED_STD = "sm_predicted_std"
IN_TEST = "in_test"
IN_TRAIN = "in_train"
FOLD = "fold"

SM_UNITS = "m3 m-3"
SMAP = "SMAP"
SMOS = "SMOS"
AMSR2 = "AMSR2"
GLDAS_NOAH = "GLDAS-Noah"
SOMO_ML = "SoMo.ml"
MULTITASK_LSTM = "GSM3 LSTM"
IN_SITU = "In situ"

# Product name of a run's predictions in its scores, by model.
MODEL_PRODUCTS = {
    "multitask_lstm": MULTITASK_LSTM,
    "gradient_boosting": "Gradient boosting",
    "climatology": "Climatology",
    "api_bucket": "Precipitation bucket",
}

REGIONS = ("CONUS", "Europe", "Africa_North", "Alaska", "Asia", "Africa_South", "Australia")
NO_REGION = "Other"
PAPER_REGIONS = "gsm3-paper"
"""The region scheme of :data:`REGIONS` and of a dataset's coordinate ``region``; see :mod:`gsm3core.geography.regions`."""

LAT = "lat"
LON = "lon"
REGION = "region"
NETWORK = "network"
STATION = "station"
DEPTH = "depth"
SITE_COORDINATES = (LAT, LON, REGION, NETWORK, STATION, DEPTH)

TARGETS = (SM_INSITU, SM_SMAP)

# Attributes of a variable that is a long-term mean: the daily variable that it averages, its first and last day.
MEAN_OF, PERIOD_START, PERIOD_END = "mean_of", "period_start", "period_end"
# Attribute of a daily variable that is only averaged for a long-term mean: the canonical variable that it holds.
RECORD_OF = "record_of"

QUALITY_FLAGS = {SM_INSITU: "sm_insitu_flag", SM_SMAP: "sm_smap_flag", SM_PRODUCT: "sm_product_flag"}
"""Quality flag of each record, on its dimensions: 0 recommended by the producer, another number not. No input of a model."""

HOLDOUTS = ("temporal", "random_spatial", "cross_continental", "spatial_block", "custom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One physical quantity: name, units and the range outside which a value is an error.

    Parameters
    ----------
    name, units
        Name in a SiteDataset and the only units it is stored in (UDUNITS spelling, CF conventions section 3.1).
    long_name
        Label of a plot's axis.
    valid_min, valid_max
        Physical bounds, in ``units``, or ``None``. They are wide: they detect wrong units (Celsius for kelvin,
        percent for a fraction), not unusual weather.
    standard_name
        CF standard name, where one exists.
    """

    name: str
    units: str
    long_name: str
    valid_min: float | None = None
    valid_max: float | None = None
    standard_name: str | None = None


def _table(*variables: Variable) -> dict[str, Variable]:
    return {v.name: v for v in variables}


_SM_STANDARD = "volume_fraction_of_condensed_water_in_soil"

SOIL_MOISTURE = _table(
    Variable(name=SM_INSITU, units=SM_UNITS, long_name="in-situ soil moisture", valid_min=0, valid_max=1,
             standard_name=_SM_STANDARD),
    Variable(name=SM_SMAP, units=SM_UNITS, long_name="SMAP soil moisture", valid_min=0, valid_max=1,
             standard_name=_SM_STANDARD),
    Variable(name=SM_PRODUCT, units=SM_UNITS, long_name="soil moisture of other products", valid_min=0,
             valid_max=1, standard_name=_SM_STANDARD),
)  # fmt: skip

FORCINGS = _table(
    Variable(name="precipitation", units="mm d-1", long_name="precipitation", valid_min=0, valid_max=2000,
             standard_name="lwe_precipitation_rate"),
    Variable(name="air_temperature", units="K", long_name="2 m air temperature", valid_min=170, valid_max=340,
             standard_name="air_temperature"),
    Variable(name="air_temperature_max", units="K", long_name="2 m air temperature, daily maximum",
             valid_min=170, valid_max=350),
    Variable(name="air_temperature_min", units="K", long_name="2 m air temperature, daily minimum",
             valid_min=160, valid_max=340),
    Variable(name="shortwave_down", units="W m-2", long_name="downward surface solar radiation", valid_min=0,
             valid_max=600, standard_name="surface_downwelling_shortwave_flux_in_air"),
    Variable(name="longwave_down", units="W m-2", long_name="downward surface thermal radiation", valid_min=20,
             valid_max=700, standard_name="surface_downwelling_longwave_flux_in_air"),
    Variable(name="specific_humidity", units="kg kg-1", long_name="2 m specific humidity", valid_min=0,
             valid_max=0.06, standard_name="specific_humidity"),
    Variable(name="relative_humidity", units="1", long_name="relative humidity", valid_min=0, valid_max=1.2,
             standard_name="relative_humidity"),
    Variable(name="wind_u", units="m s-1", long_name="10 m eastward wind", valid_min=-100, valid_max=100,
             standard_name="eastward_wind"),
    Variable(name="wind_v", units="m s-1", long_name="10 m northward wind", valid_min=-100, valid_max=100,
             standard_name="northward_wind"),
    Variable(name="wind_speed", units="m s-1", long_name="10 m wind speed", valid_min=0, valid_max=100,
             standard_name="wind_speed"),
    Variable(name="surface_pressure", units="Pa", long_name="surface pressure", valid_min=30_000,
             valid_max=110_000, standard_name="surface_air_pressure"),
    Variable(name="soil_temperature", units="K", long_name="soil temperature near the surface", valid_min=190,
             valid_max=350, standard_name="soil_temperature"),
    Variable(name="surface_temperature", units="K", long_name="land surface temperature", valid_min=170,
             valid_max=370, standard_name="surface_temperature"),
    Variable(name="precipitation_imerg", units="mm d-1", long_name="precipitation of IMERG", valid_min=0, valid_max=2000,
             standard_name="lwe_precipitation_rate"),
    Variable(name="precipitation_era5", units="mm d-1", long_name="precipitation of ERA5", valid_min=0, valid_max=2000,
             standard_name="lwe_precipitation_rate"),
    Variable(name="surface_temperature_day", units="K", long_name="land surface temperature by day", valid_min=170,
             valid_max=370, standard_name="surface_temperature"),
    Variable(name="surface_temperature_night", units="K", long_name="land surface temperature by night", valid_min=170,
             valid_max=370, standard_name="surface_temperature"),
    Variable(name="albedo_black_sky", units="1", long_name="black-sky albedo, shortwave", valid_min=0, valid_max=1),
    Variable(name="albedo_white_sky", units="1", long_name="white-sky albedo, shortwave", valid_min=0, valid_max=1),
    Variable(name="lai_high", units="m2 m-2", long_name="leaf area index of high vegetation", valid_min=0, valid_max=15),
    Variable(name="lai_low", units="m2 m-2", long_name="leaf area index of low vegetation", valid_min=0, valid_max=15),
    Variable(name="lai", units="m2 m-2", long_name="leaf area index", valid_min=0, valid_max=15,
             standard_name="leaf_area_index"),
    Variable(name="snow_water_equivalent", units="mm", long_name="water in the snow", valid_min=0, valid_max=20_000,
             standard_name="lwe_thickness_of_surface_snow_amount"),
    Variable(name="snow_depth", units="m", long_name="snow depth", valid_min=0, valid_max=50,
             standard_name="surface_snow_thickness"),
    Variable(name="snow_cover", units="1", long_name="share of the ground covered by snow", valid_min=0, valid_max=1,
             standard_name="surface_snow_area_fraction"),
)  # fmt: skip

SNOW_LIMITS = {"snow_water_equivalent": 0.1, "snow_depth": 0.001, "snow_cover": 0.01}
"""Values above which a day is a day with snow: any snow beyond rounding."""

TOTAL_PRECIPITATION = ("lwe_precipitation_rate", "precipitation_flux", "lwe_thickness_of_precipitation_amount",
                       "precipitation_amount")  # fmt: skip
"""CF standard names of total precipitation. Its parts (snowfall, rainfall, convective precipitation) have others."""

MM_PER_DAY = {
    "mm": 1.0, "kg m-2": 1.0, "m": 1000.0,  # amounts of a day
    "mm d-1": 1.0, "mm day-1": 1.0, "mm/d": 1.0, "mm/day": 1.0, "kg m-2 d-1": 1.0, "kg m-2 day-1": 1.0,
    "m d-1": 1000.0, "m day-1": 1000.0, "m/day": 1000.0, "mm h-1": 24.0, "mm/h": 24.0, "mm/hr": 24.0,
    "kg m-2 s-1": 86_400.0, "mm s-1": 86_400.0, "mm/s": 86_400.0, "m s-1": 86_400_000.0,
}  # fmt: skip
"""Factors from units of daily precipitation to mm per day; 1 mm of liquid water is 1 kg m-2."""

ATTRIBUTES = _table(
    Variable(name="elevation", units="m", long_name="elevation", valid_min=-500, valid_max=9000,
             standard_name="surface_altitude"),
    Variable(name="slope", units="degree", long_name="terrain slope", valid_min=0, valid_max=90),
    Variable(name="aspect", units="degree", long_name="terrain aspect, clockwise from north", valid_min=0,
             valid_max=360),
    Variable(name="poleward_aspect", units="1", long_name="poleward aspect (+1 facing the pole)", valid_min=-1,
             valid_max=1),
    Variable(name="profile_curvature", units="m-1", long_name="terrain curvature down the slope (profile)",
             valid_min=-1, valid_max=1),
    Variable(name="tangential_curvature", units="m-1", long_name="terrain curvature across the slope (tangential)",
             valid_min=-1, valid_max=1),
    Variable(name="plan_curvature", units="m-1", long_name="terrain curvature of the contour line (plan)", valid_min=-1,
             valid_max=1),
    Variable(name="terrain_roughness", units="m", long_name="largest difference of elevation to a neighbouring cell",
             valid_min=0, valid_max=9000),
    Variable(name="sand", units="1", long_name="sand fraction", valid_min=0, valid_max=1),
    Variable(name="clay", units="1", long_name="clay fraction", valid_min=0, valid_max=1),
    Variable(name="silt", units="1", long_name="silt fraction", valid_min=0, valid_max=1),
    Variable(name="bulk_density", units="g cm-3", long_name="soil bulk density", valid_min=0, valid_max=3),
    Variable(name="water_capacity", units="1", long_name="available water capacity class value"),
    Variable(name="ndvi", units="1", long_name="long-term mean NDVI", valid_min=-1, valid_max=1),
    Variable(name="land_cover", units="1", long_name="land cover (IGBP class)"),
    Variable(name="land_cover_lccs", units="1", long_name="land cover (LCCS class of ESA CCI)"),
    Variable(name="land_cover_worldcover", units="1", long_name="land cover (class of ESA WorldCover)"),
    Variable(name="land_cover_worldcover_10m", units="1", long_name="land cover of the 10 m pixel (class of ESA WorldCover)"),
    Variable(name="climate", units="1", long_name="Köppen-Geiger main class"),
    Variable(name="mean_air_temperature", units="K", long_name="long-term mean air temperature", valid_min=200,
             valid_max=320),
    Variable(name="mean_surface_temperature_day", units="K", long_name="long-term mean land surface temperature by day",
             valid_min=200, valid_max=350),
    Variable(name="mean_surface_temperature_night", units="K", long_name="long-term mean land surface temperature by night",
             valid_min=190, valid_max=330),
    Variable(name="mean_albedo_black_sky", units="1", long_name="long-term mean black-sky albedo", valid_min=0, valid_max=1),
    Variable(name="mean_albedo_white_sky", units="1", long_name="long-term mean white-sky albedo", valid_min=0, valid_max=1),
    Variable(name="mean_sm_smap", units=SM_UNITS, long_name="long-term mean SMAP soil moisture", valid_min=0, valid_max=1),
    Variable(name="mean_shortwave_down", units="W m-2", long_name="long-term mean downward surface solar radiation",
             valid_min=0, valid_max=600),
    Variable(name="air_temperature_range", units="K", long_name="warmest minus coldest month", valid_min=0,
             valid_max=80),
    Variable(name="mean_annual_precipitation", units="mm", long_name="long-term mean annual precipitation",
             valid_min=0, valid_max=15_000),
    Variable(name="precipitation_seasonality", units="1", long_name="coefficient of variation of monthly precipitation",
             valid_min=0, valid_max=5),
)  # fmt: skip

CIRCULAR = ("aspect", "aspect_30m")
"""Directions in degrees: 359 and 1 are neighbours, so that their values are not averaged."""

VARIABLES: dict[str, Variable] = SOIL_MOISTURE | FORCINGS | ATTRIBUTES

KOPPEN_CLASSES = {0: "none", 1: "A tropical", 2: "B arid", 3: "C temperate", 4: "D continental", 5: "E polar"}
IGBP_CLASSES = {
    0: "water", 1: "evergreen needleleaf forest", 2: "evergreen broadleaf forest",
    3: "deciduous needleleaf forest", 4: "deciduous broadleaf forest", 5: "mixed forest",
    6: "closed shrubland", 7: "open shrubland", 8: "woody savanna", 9: "savanna", 10: "grassland",
    11: "permanent wetland", 12: "cropland", 13: "urban", 14: "cropland and natural mosaic",
    15: "snow and ice", 16: "barren",
}  # fmt: skip
LCCS_CLASSES = {
    10: "cropland rainfed", 11: "cropland rainfed herbaceous", 12: "cropland rainfed tree or shrub",
    20: "cropland irrigated", 30: "mosaic cropland", 40: "mosaic natural vegetation",
    50: "tree broadleaved evergreen", 60: "tree broadleaved deciduous", 61: "tree broadleaved deciduous closed",
    62: "tree broadleaved deciduous open", 70: "tree needleleaved evergreen", 71: "tree needleleaved evergreen closed",
    72: "tree needleleaved evergreen open", 80: "tree needleleaved deciduous", 81: "tree needleleaved deciduous closed",
    82: "tree needleleaved deciduous open", 90: "tree mixed", 100: "mosaic tree and shrub", 110: "mosaic herbaceous",
    120: "shrubland", 121: "shrubland evergreen", 122: "shrubland deciduous", 130: "grassland", 140: "lichens and mosses",
    150: "sparse vegetation", 151: "sparse tree", 152: "sparse shrub", 153: "sparse herbaceous",
    160: "tree flooded fresh water", 170: "tree flooded saline water", 180: "shrub or herbaceous flooded", 190: "urban",
    200: "bare", 201: "bare consolidated", 202: "bare unconsolidated", 210: "water", 220: "snow and ice",
}  # fmt: skip
WORLDCOVER_CLASSES = {
    10: "tree cover", 20: "shrubland", 30: "grassland", 40: "cropland", 50: "built-up", 60: "bare or sparse vegetation",
    70: "snow and ice", 80: "permanent water", 90: "herbaceous wetland", 95: "mangroves", 100: "moss and lichen",
}  # fmt: skip
CLASSES = {
    "climate": KOPPEN_CLASSES, "land_cover": IGBP_CLASSES, "land_cover_lccs": LCCS_CLASSES,
    "land_cover_worldcover": WORLDCOVER_CLASSES, "land_cover_worldcover_10m": WORLDCOVER_CLASSES,
}  # fmt: skip
