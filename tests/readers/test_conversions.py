"""Files converted with GDAL and other programs: their own coordinates and scaling; the advice of the messages is followed.

rasterio carries GDAL and its netCDF driver, so that the files are those that gdal_translate writes.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.vrt
import xarray as xr

from gsm3core.assembly.collocate import to_sites
from gsm3core.errors import DatasetError
from gsm3core.readers.attributes import AmatulliReader, EsaCciLandCoverReader, HwsdReader
from gsm3core.readers.modis import ModisAlbedoReader, ModisLstReader, ModisNdviReader
from support.grid_files import write

NAME = "MOD13C2.A2015091.061.2021327005613"
LONG_NAME = "CMG 0.05 Deg Monthly NDVI"


def from_origin(west: float, north: float, width: float, height: float) -> rasterio.Affine:
    """Return the transform of a raster from north to south; rasterio's own warns of a version of affine."""
    return rasterio.Affine(width, 0, west, 0, -height, north)


# 10 degree cells from north to south: 0.8 north of the equator, 0.2 south of it, and one cell of its own.
INDEX = np.where(np.arange(18)[:, None] < 9, 0.8, 0.2) + np.zeros((18, 36))
INDEX[3, 20] = 0.5  # 55 N, 25 E
SITES = ([55.0, 55.0, -55.0], [25.0, -25.0, 25.0])
EXPECTED = [0.5, 0.8, 0.2]


def gdal_translate(path: Path, values: np.ndarray, *, driver: str = "netCDF", tags: dict[str, str] | None = None,
                   scale: float | None = None, nodata: float | None = -3000, crs: str = "EPSG:4326",
                   transform: rasterio.Affine | None = None, **options: str) -> Path:  # fmt: skip
    """Write a raster from north to south with GDAL, and copy it into another format as gdal_translate does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = values.shape
    tiff = path if driver == "GTiff" else path.with_suffix(".tmp.tif")
    transform = transform or from_origin(-180, 90, 360 / columns, 180 / rows)
    with rasterio.open(tiff, "w", driver="GTiff", width=columns, height=rows, count=1, dtype=values.dtype, crs=crs,
                       transform=transform, nodata=nodata) as raster:  # fmt: skip
        raster.write(values, 1)
        if scale is not None:
            raster.scales = (scale,)
        raster.update_tags(**(tags or {}))
    if tiff != path:
        rasterio.shutil.copy(tiff, path, driver=driver, **options)
        tiff.unlink()
    return path


def ndvi_at_sites(root: Path) -> list[float]:
    ds = ModisNdviReader().open(root, transform=lambda a: to_sites(a, *SITES))
    return ds.ndvi.values.astype(float).ravel().round(6).tolist()


@pytest.mark.parametrize("tags", [{"long_name": LONG_NAME, "scale_factor": "10000"}, {}])
@pytest.mark.parametrize("bottom_up", ["YES", "NO"])
def test_ndvi_through_gdal_translate(tmp_path: Path, tags: dict[str, str], bottom_up: str) -> None:
    stored = (INDEX * 10_000).round().astype(np.int16)
    path = gdal_translate(tmp_path / f"{NAME}.nc", stored, tags=tags, WRITE_BOTTOMUP=bottom_up)
    with xr.open_dataset(path, engine="h5netcdf" if path.read_bytes()[:4] == b"\x89HDF" else "scipy") as ds:
        assert "Band1" in ds
    assert ndvi_at_sites(tmp_path) == EXPECTED


@pytest.mark.parametrize(
    "name", ["Band1", "CMG_0_05_Deg_Monthly_NDVI", "CMG 0.05 Deg Monthly NDVI", "_0_05_Deg_Monthly_NDVI"]
)
@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize(
    ("factor", "kind", "attrs"),
    [
        (1e4, np.int16, {"_FillValue": np.int16(-3000)}),
        (1e4, np.int16, {"scale_factor": 10000.0, "add_offset": 0.0, "_FillValue": np.int16(-3000)}),
        (1e4, np.int16, {"scale_factor": 0.0001, "_FillValue": np.int16(-3000), "units": "NDVI"}),
        (1e4, np.float32, {"_FillValue": np.float32(-3000)}),
        (1.0, np.float64, {"_FillValue": np.nan}),
        (1e8, np.float64, {}),
    ],
)
def test_scalings_and_orientations_of_ndvi(
    tmp_path: Path, name: str, ascending: bool, factor: float, kind: type, attrs: dict[str, object]
) -> None:
    lat = 85.0 - 10 * np.arange(18)
    ds = xr.Dataset({name: (("lat", "lon"), (INDEX * factor).round(6).astype(kind), attrs)},
                    coords={"lat": lat, "lon": -175.0 + 10 * np.arange(36)})  # fmt: skip
    write(ds.sortby("lat") if ascending else ds, tmp_path / f"{NAME}.nc", encoding={name: {"_FillValue": None}}
          if "_FillValue" not in attrs else {})  # fmt: skip
    assert ndvi_at_sites(tmp_path) == EXPECTED


def test_ndvi_through_h4toh5(tmp_path: Path) -> None:
    """The advice h4toh5: no coordinates, rows from north to south, under the producer's name."""
    for k, group in enumerate(("MOD_Grid_monthly_CMG_VI/Data Fields", "MOD_Grid_monthly_CMG_VI/Data_Fields")):
        path = tmp_path / str(k) / f"{NAME}.h5"
        path.parent.mkdir()
        with h5py.File(path, "w") as file:
            fields = file.create_group(group)
            fields[LONG_NAME] = (INDEX * 10_000).round().astype(np.int16)
            fields["CMG 0.05 Deg Monthly pixel reliability"] = np.zeros(INDEX.shape, np.int8)
        assert ndvi_at_sites(path) == EXPECTED


def test_other_bands_and_maps_without_places_are_refused(tmp_path: Path) -> None:
    stored = (INDEX * 10_000).round().astype(np.int16)
    other = gdal_translate(
        tmp_path / "a" / f"{NAME}.nc", stored, tags={"long_name": "CMG 0.05 Deg Monthly EVI"}
    )
    with pytest.raises(DatasetError, match=r"band 'Band1' is 'CMG 0.05 Deg Monthly EVI'.*expected NDVI"):
        ModisNdviReader().open(other)
    sinusoidal = gdal_translate(tmp_path / "d" / f"{NAME}.nc", stored, crs="+proj=sinu +R=6371007.181",
                                transform=from_origin(-1e7, 1e7, 1e6, 1e6))  # fmt: skip
    with pytest.raises(DatasetError, match=r"is projected: .*gdalwarp -t_srs EPSG:4326"):
        ModisNdviReader().open(sinusoidal)
    bytes_ = gdal_translate(tmp_path / "e" / f"{NAME}.nc", (INDEX * 250).astype(np.uint8), nodata=255)
    with pytest.raises(DatasetError, match=r"is stored in bytes"):
        ModisNdviReader().open(bytes_)


def test_the_advice_for_tiff_is_followed(tmp_path: Path) -> None:
    """Where netCDF is expected, a TIFF is refused with a conversion, whose output is read."""
    stored = (INDEX * 10_000).round().astype(np.int16)
    tiff = gdal_translate(tmp_path / "a" / f"{NAME}.nc", stored, driver="GTiff")
    with pytest.raises(DatasetError, match=r"is TIFF.*gdal_translate -of netCDF"):
        ModisNdviReader().open(tiff)
    with rasterio.open(tiff) as source:
        gdal_translate(tmp_path / "b" / f"{NAME}.nc", source.read(1))
    assert ndvi_at_sites(tmp_path / "b") == EXPECTED


def test_appeears_ndvi_has_its_own_times(tmp_path: Path) -> None:
    stored = (np.stack([INDEX, INDEX, INDEX / 2]) * 10_000).round().astype(np.int16)
    ds = xr.Dataset(
        {"CMG_0_05_Deg_Monthly_NDVI": (("time", "lat", "lon"), stored, {"scale_factor": 0.0001, "_FillValue": np.int16(-3000)})},
        coords={"time": ("time", [5569, 5599, 5630], {"units": "days since 2000-01-01", "calendar": "julian"}),
                "lat": 85.0 - 10 * np.arange(18), "lon": -175.0 + 10 * np.arange(36)},
    )  # fmt: skip
    out = ModisNdviReader().open(write(ds, tmp_path / "MOD13C2.061_0_05deg_aid0001.nc"))
    assert [str(t)[:7] for t in out.time.values] == ["2015-04", "2015-05", "2015-06"]
    assert float(out.ndvi.sel(lat=55, lon=25)[2]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("reader", "name", "title", "found"),
    [
        (ModisAlbedoReader, "MCD43A3.061_500m_aid0001.nc", "MCD43C3.061 for aid0001", "MCD43C3"),
        (ModisLstReader, "MYD11A1.061_1km_aid0001.nc", "MOD11A1.061 for aid0001", "MOD11 "),
        (ModisLstReader, "MYD11A1.061_1km_aid0001.nc", "MYD11A2.061 for aid0001", "MYD11A2"),
        (ModisNdviReader, f"{NAME}.nc", "MYD13C2", "another product of the series"),
    ],
)
def test_renamed_modis_products(tmp_path: Path, reader: type, name: str, title: str, found: str) -> None:
    coords = {"time": ("time", [5569], {"units": "days since 2000-01-01"}), "lat": [1, 0], "lon": [0, 1]}
    ds = xr.Dataset(
        {"x": (("time", "lat", "lon"), np.zeros((1, 2, 2)))}, attrs={"title": title}, coords=coords
    )
    with pytest.raises(DatasetError, match=rf"is {found}.*attributes have 'title: {title}'"):
        reader().open(write(ds, tmp_path / name))


def test_eight_day_means_under_a_daily_name(tmp_path: Path) -> None:
    ds = xr.Dataset(
        {"LST_Day_1km": (("time", "lat", "lon"), np.full((4, 2, 2), 300.0), {"units": "K"})},
        coords={"time": ("time", 5569 + 8 * np.arange(4), {"units": "days since 2000-01-01"}), "lat": [1, 0], "lon": [0, 1]},
    )  # fmt: skip
    with pytest.raises(DatasetError, match=r"times are 8 days apart; myd11a1"):
        ModisLstReader().open(write(ds, tmp_path / "MYD11A1.061_1km_aid0001.nc"))
    daily = ds.assign_coords(time=("time", 5569 + np.arange(4), {"units": "days since 2000-01-01"}))
    out = ModisLstReader().open(write(daily, tmp_path / "MYD11A1.061_1km_aid0001.nc"))
    assert out.sizes["time"] == 4
    assert "no quality flags for LST_Day_1km" in out.attrs["notes"]


def test_soil_through_gdal_translate(tmp_path: Path) -> None:
    """Band1 is the variable of the file's name; rows from south to north."""
    for name, north, south in (("T_SAND", 40, 60), ("T_SILT", 40, 20), ("T_CLAY", 20, 20)):
        values = np.where(np.arange(18)[:, None] < 9, north, south) + np.zeros((18, 36))
        gdal_translate(tmp_path / f"{name}.nc", values.astype(np.float32), nodata=-1)
    ds = HwsdReader().open(tmp_path, transform=lambda a: to_sites(a, *SITES))
    np.testing.assert_allclose(ds.sand, [0.4, 0.4, 0.6], rtol=1e-6)


def test_land_cover_of_other_orientation_and_cell_size(tmp_path: Path) -> None:
    """30 of the producer's cells make one of the reader's, however large the cells of the file are."""
    classes = np.where(np.arange(36)[:, None] < 18, 10, 210) + np.zeros((36, 72), np.int16)
    name = "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2015-v2.0.7.nc"
    fine = xr.Dataset({"lccs_class": (("lon", "lat"), classes.T.astype(np.uint8))},
                      coords={"lat": 10 - (np.arange(36) + 0.5) / 12, "lon": (np.arange(72) + 0.5) / 12})  # fmt: skip
    path = write(fine.sortby("lat"), tmp_path / name)
    ds = EsaCciLandCoverReader().open(path, transform=lambda a: to_sites(a, [9.0, 8.0], [1.0, 1.0]))
    assert ds.land_cover_lccs.values.tolist() == [10, 210]
    assert float(ds.distance_km.max()) < 8
    assert "1 x 1 are joined" in ds.attrs["notes"]
    tiff = gdal_translate(tmp_path / "gdal" / name, classes.astype(np.uint8), nodata=0,
                          transform=from_origin(0, 10, 1 / 12, 1 / 12))  # fmt: skip
    again = EsaCciLandCoverReader().open(tiff, transform=lambda a: to_sites(a, [9.0, 8.0], [1.0, 1.0]))
    assert again.land_cover_lccs.values.tolist() == [10, 210]


SLOPE = np.float32(np.arange(18)[:, None] + np.zeros((18, 36)))


@pytest.mark.parametrize("kind", ["plain", "scaled", "south-up", "0-360", "projected"])
def test_geotiffs_are_read_by_their_georeference(tmp_path: Path, kind: str) -> None:
    path, values, options = tmp_path / "slope_10KMmd_GMTEDmd.tif", SLOPE, {}
    if kind == "scaled":
        values, options = (SLOPE * 100).astype(np.int16), {"scale": 0.01}
    elif kind == "south-up":
        values, options = SLOPE[::-1], {"transform": rasterio.Affine(10, 0, -180, 0, 10, -90)}
    elif kind == "0-360":
        options = {"transform": from_origin(0, 90, 10, 10)}
    elif kind == "projected":
        # Plate carree in metres: the same cells.
        step = 6378137 * np.pi / 18
        options = {
            "crs": "+proj=eqc +R=6378137 +units=m",
            "transform": from_origin(-18 * step, 9 * step, step, step),
        }
    gdal_translate(path, values, driver="GTiff", nodata=-9999, **options)  # type: ignore[arg-type]
    ds = AmatulliReader().open(path, transform=lambda a: to_sites(a, *SITES))
    np.testing.assert_allclose(ds.slope, [3, 3, 14], rtol=1e-6)


def test_geotiffs_of_several_bands_and_without_place(tmp_path: Path) -> None:
    path = tmp_path / "slope_10KMmd_GMTEDmd.tif"
    with rasterio.open(path, "w", driver="GTiff", width=36, height=18, count=2, dtype="float32", crs="EPSG:4326",
                       transform=from_origin(-180, 90, 10, 10)) as raster:  # fmt: skip
        raster.write(np.stack([SLOPE, SLOPE]))
    with pytest.raises(DatasetError, match=r"has 2 band\(s\).*gdal_translate -b 1"):
        AmatulliReader().open(path)
    with rasterio.open(path) as source:
        gdal_translate(tmp_path / "one" / path.name, source.read(1), driver="GTiff")
    assert float(AmatulliReader().open(tmp_path / "one").slope.max()) == 17
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match=r"cannot be read as a TIFF.*100 bytes"):
        AmatulliReader().open(path)


def test_ndvi_and_land_cover_as_geotiff(tmp_path: Path) -> None:
    """NDVI is read from GeoTIFF; a GeoTIFF of land cover has to be converted, and is then read."""
    for folder, values, scale in (("a", np.int16(INDEX * 10_000 + 0.5), None), ("b", np.int16(INDEX * 10_000 + 0.5), 0.0001),
                                  ("c", INDEX.astype(np.float32), None)):  # fmt: skip
        gdal_translate(tmp_path / folder / f"{NAME}.tif", values, driver="GTiff", scale=scale)
        assert ndvi_at_sites(tmp_path / folder) == EXPECTED
    name = "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2015-v2.0.7"
    classes = np.where(np.arange(36)[:, None] < 18, 10, 210) + np.zeros((36, 72))
    tiff = gdal_translate(tmp_path / f"{name}.tif", classes.astype(np.uint8), driver="GTiff", nodata=0,
                          transform=from_origin(0, 10, 1 / 360, 1 / 360))  # fmt: skip
    with pytest.raises(
        DatasetError, match=r"1 file of the GeoTIFF of the map .*gdal_translate -of netCDF FILE.tif FILE.nc"
    ):
        EsaCciLandCoverReader().open(tmp_path)
    rasterio.shutil.copy(tiff, tmp_path / f"{name}.nc", driver="netCDF")
    tiff.unlink()
    ds = EsaCciLandCoverReader(cells=18).open(
        tmp_path, transform=lambda a: to_sites(a, [9.97, 9.92], [0.1, 0.1])
    )
    assert ds.land_cover_lccs.values.tolist() == [10, 210]


def test_cells_of_two_sizes_are_not_mixed(tmp_path: Path) -> None:
    """Terrain of 10 km and of 100 km in one folder: no site takes one or the other by chance."""
    gdal_translate(tmp_path / "slope_10KMmd_GMTEDmd.tif", SLOPE, driver="GTiff", nodata=-9999)
    gdal_translate(
        tmp_path / "slope_100KMmd_GMTEDmd.tif", SLOPE[::3, ::3].copy(), driver="GTiff", nodata=-9999
    )
    with pytest.raises(
        DatasetError, match=r"has another grid.*files of other cells or areas into different folders"
    ):
        AmatulliReader().open(tmp_path, transform=lambda a: to_sites(a, *SITES))


def test_the_advice_for_projected_files_is_followed(tmp_path: Path) -> None:
    """gdalwarp -t_srs EPSG:4326 -of netCDF of a projected map gives one that is read."""
    step = 6378137 * np.pi / 18
    stored = (INDEX * 10_000).round().astype(np.int16)
    metres = {
        "crs": "+proj=eqc +R=6378137 +units=m",
        "transform": from_origin(-18 * step, 9 * step, step, step),
    }
    with pytest.raises(DatasetError, match=r"is projected: .*gdalwarp -t_srs EPSG:4326"):
        ModisNdviReader().open(gdal_translate(tmp_path / "a" / f"{NAME}.nc", stored, **metres))  # type: ignore[arg-type]
    tiff = gdal_translate(tmp_path / "map.tif", stored, driver="GTiff", **metres)  # type: ignore[arg-type]
    with rasterio.open(tiff) as source, rasterio.vrt.WarpedVRT(source, crs="EPSG:4326") as warped:
        (tmp_path / "b").mkdir()
        rasterio.shutil.copy(warped, tmp_path / "b" / f"{NAME}.nc", driver="netCDF")
    assert ndvi_at_sites(tmp_path / "b") == EXPECTED


def test_places_that_are_not_in_the_file_are_not_guessed(tmp_path: Path) -> None:
    """A band of GDAL without coordinates may run from south to north: refused, unlike the producer's HDF5."""
    stored = (INDEX * 10_000).round().astype(np.int16)
    ds = xr.Dataset({"Band1": (("y", "x"), stored), "crs": ((), 0, {"GeoTransform": "-180 10 0 90 0 -10 "})})
    with pytest.raises(
        DatasetError, match=r"'Band1' has no latitudes and longitudes.*gdal_translate -of netCDF"
    ):
        ModisNdviReader().open(write(ds, tmp_path / f"{NAME}.nc"))
