"""Soils, terrain and land cover, from synthetic files in the producers' published layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image, TiffImagePlugin

from gsm3core import vocabulary as v
from gsm3core.assembly.collocate import to_sites
from gsm3core.errors import DatasetError
from gsm3core.readers.attributes import AmatulliReader, EsaCciLandCoverReader, HwsdReader
from gsm3core.readers.land_cover import AMBIGUOUS, IGBP_OF_LCCS, igbp_of_lccs


def soil(folder: Path, name: str, values: list[list[float]], units: str) -> None:
    ds = xr.Dataset(
        {name: (("lat", "lon"), np.float32(values), {"units": units, "missing_value": np.float32(-1)})},
        coords={"lat": [-0.025, 0.025], "lon": [10.025, 10.075]},
    )
    ds.to_netcdf(folder / f"{name}.nc4", engine="h5netcdf")


def test_hwsd_fractions(tmp_path: Path) -> None:
    soil(tmp_path, "T_SAND", [[40, 50], [60, -1]], "% weight")
    soil(tmp_path, "T_SILT", [[40, 30], [20, -1]], "% weight")
    soil(tmp_path, "T_CLAY", [[20, 20], [20, -1]], "% weight")
    soil(tmp_path, "T_BULK_DEN", [[1.3, 1.4], [1.5, -1]], "kg dm-3")
    ds = HwsdReader().open(tmp_path)
    np.testing.assert_allclose(ds.sand, [[0.4, 0.5], [0.6, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(ds.bulk_density, [[1.3, 1.4], [1.5, np.nan]], rtol=1e-6)
    assert ds.sand.dims == ("lat", "lon")
    assert ds.sand.attrs["units"] == "1"
    soil(tmp_path, "T_CLAY", [[60, 60], [60, -1]], "% weight")
    with pytest.raises(DatasetError, match=r"sand, silt and clay add up to 1.40"):
        HwsdReader().open(tmp_path)


def geotiff(
    path: Path, values: np.ndarray, *, west: float, north: float, cell: float, projected: bool = False
) -> None:
    """Write one band of 32-bit floats with the GeoTIFF tags that GDAL writes, deflated."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, kind, value in (
        (33550, 12, (cell, cell, 0.0)),
        (33922, 12, (0.0, 0.0, 0.0, west, north, 0.0)),
        (34735, 3, (1, 1, 0, 2, 1024, 0, 1, 1 if projected else 2, 1025, 0, 1, 1)),
        (42113, 2, "-9999"),
    ):
        tags.tagtype[tag] = kind
        tags[tag] = value
    Image.fromarray(values.astype(np.float32)).save(path, tiffinfo=tags, compression="tiff_adobe_deflate")


def test_poleward_aspect_in_both_hemispheres(tmp_path: Path) -> None:
    aspect = np.array([[0.8, -0.5, -9999], [0.8, -0.5, 0.1]])
    for name, values in (
        ("aspectcosine", aspect),
        ("elevation", aspect * 0 + 500),
        ("slope", aspect * 0 + 3),
    ):
        geotiff(tmp_path / f"{name}_10KMmd_GMTEDmd.tif", values, west=-180, north=10, cell=10)
    ds = AmatulliReader().open(tmp_path)
    np.testing.assert_allclose(ds.lat, [-5, 5])
    np.testing.assert_allclose(ds.lon, [-175, -165, -155])
    # In the south a north-facing slope faces the equator.
    np.testing.assert_allclose(ds.poleward_aspect, [[-0.8, 0.5, -0.1], [0.8, -0.5, np.nan]], rtol=1e-6)
    assert float(ds.elevation[0, 0]) == 500
    assert set(ds.data_vars) == {"poleward_aspect", "elevation", "slope"}


def test_aspect_keeps_its_size_at_the_equator(tmp_path: Path) -> None:
    """Interpolated between rows on both sides of the equator, equal slopes have the same aspect as without interpolation."""
    geotiff(tmp_path / "aspectcosine_10KMmd_GMTEDmd.tif", np.full((2, 3), 0.8), west=-180, north=10, cell=10)
    lat, lon = np.array([-2.0, 1.0]), np.array([-175.0, -170.0])
    ds = AmatulliReader().open(tmp_path, transform=lambda one: to_sites(one, lat, lon, method="bilinear"))
    np.testing.assert_allclose(ds.poleward_aspect, [-0.8, 0.8], rtol=1e-6)
    assert ds.poleward_aspect.attrs["collocation"] == "bilinear"


def test_curvatures_have_their_own_names(tmp_path: Path) -> None:
    """pcurv is profile curvature and tcurv tangential curvature; the database has no plan curvature."""
    for name, value in (("pcurv", 1e-5), ("tcurv", -2e-5), ("slope", 3.0)):
        geotiff(tmp_path / f"{name}_10KMmd_GMTEDmd.tif", np.full((2, 3), value), west=-180, north=10, cell=10)
    assert set(AmatulliReader().open(tmp_path).data_vars) == {"profile_curvature", "slope"}
    both = AmatulliReader(["profile_curvature", "tangential_curvature"]).open(tmp_path)
    assert float(both.profile_curvature[0, 0]) == pytest.approx(1e-5)
    assert float(both.tangential_curvature[0, 0]) == pytest.approx(-2e-5)
    with pytest.raises(DatasetError, match="has no variable 'plan_curvature'"):
        AmatulliReader(["plan_curvature"]).open(tmp_path)


def test_invalid_geotiffs(tmp_path: Path) -> None:
    path = tmp_path / "slope_10KMmd_GMTEDmd.tif"
    geotiff(path, np.ones((4, 4)), west=0, north=0, cell=1000, projected=True)
    with pytest.raises(DatasetError, match=r"in an unknown projection.*gdalwarp"):
        AmatulliReader().open(path)
    Image.fromarray(np.ones((4, 4), np.float32)).save(path)
    with pytest.raises(DatasetError, match=r"not a GeoTIFF of terrain.*no georeference"):
        AmatulliReader().open(path)
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(DatasetError, match=r"cannot be read as a TIFF.*download it again"):
        AmatulliReader().open(path)


def land_cover(path: Path, classes: np.ndarray) -> None:
    """Write the layout of v2.0.7: signed bytes marked _Unsigned, classes as CF flags, latitudes descending."""
    rows, columns = classes.shape
    ds = xr.Dataset(
        {"lccs_class": (("lat", "lon"), classes.astype(np.uint8).astype(np.int8), {
            "_Unsigned": "true", "standard_name": "land_cover_lccs",
            "flag_values": np.array([0, 10, 130, 210], np.uint8).astype(np.int8),
            "flag_meanings": "no_data cropland_rainfed grassland water",
        })},
        coords={"lat": 1 - (np.arange(rows) + 0.5) / 6, "lon": (np.arange(columns) + 0.5) / 6},
    )  # fmt: skip
    ds.to_netcdf(path, engine="h5netcdf")


def test_land_cover_is_the_majority_class(tmp_path: Path) -> None:
    classes = np.array([
        [10, 10, 130, 130, 0, 0, 7],
        [10, 210, 130, 10, 0, 0, 7],
        [10, 10, 210, 210, 0, 0, 7],
        [0, 0, 210, 210, 0, 210, 7],
    ])  # fmt: skip
    path = tmp_path / "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2015-v2.0.7.nc"
    land_cover(path, classes)
    ds = EsaCciLandCoverReader(cells=2).open(path)
    # From south to north; a cell is missing only if all its values are no data.
    np.testing.assert_array_equal(ds.land_cover_lccs, [[10, 210, 210], [10, 130, np.nan]])
    np.testing.assert_allclose(ds.lat, [1 - 3 / 6, 1 - 1 / 6])
    assert ds.land_cover_lccs.attrs["flag_values"].tolist() == [0, 10, 130, 210]
    assert ds.land_cover_lccs.attrs["year"] == "2015"
    np.testing.assert_array_equal(ds.land_cover, [[12, 0, 0], [12, 10, np.nan]])
    assert ds.land_cover.attrs["flag_values"].tolist() == list(v.IGBP_CLASSES)
    land_cover(tmp_path / "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2016-v2.0.7.nc", classes)
    with pytest.raises(DatasetError, match=r"maps of 2015, 2016; pass the file of one year"):
        EsaCciLandCoverReader(cells=2).open(tmp_path)


@pytest.mark.parametrize("with_flags", [True, False])
def test_classes_are_not_interpolated(tmp_path: Path, with_flags: bool) -> None:
    """Between cropland (10) and water (210) there is no class 110, with or without flag attributes in the file."""
    path = tmp_path / "ESACCI-LC-L4-LCCS-Map-300m-P1Y-2015-v2.0.7.nc"
    land_cover(path, np.array([[10, 10, 210, 210]] * 4))
    if not with_flags:
        with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as ds:
            plain = ds.load()
        for name in ("flag_values", "flag_meanings"):
            del plain["lccs_class"].attrs[name]
        plain.to_netcdf(path, engine="h5netcdf")
    ds = EsaCciLandCoverReader(cells=2).open(
        path, transform=lambda a: to_sites(a, [0.7, 0.7], [0.3, 0.35], method="bilinear")
    )
    assert ds.land_cover_lccs.values.tolist() == [10, 210]
    assert ds.land_cover.values.tolist() == [12, 0]
    assert ds.land_cover_lccs.attrs["collocation"] == "nearest"


def test_igbp_classes_of_lccs() -> None:
    """Every LCCS class has an IGBP class with a consistent name; no data has none."""
    assert set(IGBP_OF_LCCS) == set(v.LCCS_CLASSES)
    for number, name in v.LCCS_CLASSES.items():
        igbp = v.IGBP_CLASSES[int(igbp_of_lccs(number))]
        for lccs_word, igbp_word in (("grassland", "grassland"), ("urban", "urban"), ("water", ""), ("bare", "barren"),
                                     ("snow", "snow"), ("shrubland", "shrubland"), ("flooded", "wetland"),
                                     ("cropland", "cropland")):  # fmt: skip
            if name.startswith(lccs_word) or (lccs_word == "flooded" and lccs_word in name):
                assert igbp_word in igbp, (name, igbp)
        if name.endswith(" closed"):
            kind = name.split()[1].replace("leaved", "leaf")
            assert kind in igbp and name.split()[2] in igbp
    assert {10, 210, 220} & set(AMBIGUOUS) == set()
    assert {62, 72, 82} <= set(AMBIGUOUS)
    np.testing.assert_array_equal(igbp_of_lccs([np.nan, 0, 7, 255]), [np.nan] * 4)


def test_open_forest_follows_its_tree_cover() -> None:
    """The IGBP class is the one whose range of tree cover covers most of the LCCS class's range."""
    woody = {"forest": (60, 100), 8: (30, 60), 9: (10, 30)}
    for classes, low, high in (((60, 70, 80), 15, 100), ((61, 71, 81), 40, 100), ((62, 72, 82), 15, 40)):
        shared = {k: max(0, min(high, b) - max(low, a)) for k, (a, b) in woody.items()}
        most = max(shared, key=lambda k: shared[k])
        for number in classes:
            expected = {6: 4, 7: 1, 8: 3}[number // 10] if most == "forest" else most
            assert int(igbp_of_lccs(number)) == expected
