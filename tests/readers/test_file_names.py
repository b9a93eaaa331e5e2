"""Names of files as distributors, browsers and download tools save them; copies; other products by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gsm3core.catalog import Sibling, SourceEntry, source_entries, source_entry
from gsm3core.errors import DatasetError
from gsm3core.readers.file_names import match_name, producer_name, sibling_of_name
from gsm3core.readers.gldas_noah import GldasNoahReader
from gsm3core.readers.granules import find_granules, matching_files
from gsm3core.readers.imerg import ImergReader
from gsm3core.readers.smos_l3 import SmosL3Reader
from support.grid_files import FIELD, GLDAS_NAME, IMERG_NAME, gldas, imerg_daily, write

HHR = "3B-HHR.MS.MRG.3IMERG.20200601-S000000-E002959.0000.V07B.HDF5"
GES_DISC = (
    "HTTP_services.cgi?FILENAME=%2Fdata%2FGPM_L3%2FGPM_3IMERGDF.07%2F2020%2F06%2F{0}&FORMAT=bmM0Lw&BBOX=3%2C73%2C54%2C136"
    "&LABEL={0}.SUB.nc4&SHORTNAME=GPM_3IMERGDF"
)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("imerg", f"{IMERG_NAME}.SUB.nc4"),
        ("imerg", f"{IMERG_NAME}.nc4"),
        ("imerg", f"{IMERG_NAME}.dap.nc4"),
        ("imerg", f"{IMERG_NAME}.nc4?precipitation[0:0][0:3599][0:1799],time"),
        ("imerg", IMERG_NAME.replace(".nc4", ".SUB.nc4")),
        ("imerg", IMERG_NAME.replace(".nc4", " (1).nc4")),
        ("imerg", f"{IMERG_NAME}.1"),
        ("imerg", IMERG_NAME.replace("V07B", "V06").lower()),
        ("imerg", GES_DISC.format(IMERG_NAME)),
        ("imerg", f"{HHR}.SUB.nc4"),
        ("imerg", f"{HHR}.nc4"),
        ("imerg", HHR.replace("HDF5", "SUB.hdf5")),
        ("gldas-noah025", f"{GLDAS_NAME}.SUB.nc4"),
        ("gldas-noah025", GLDAS_NAME.replace("3H", "3H_EP")),
        ("gldas-noah025", GLDAS_NAME.replace("3H", "3H_EP") + ".SUB.nc4"),
        ("gldas-noah025", "GLDAS_NOAH025_3H.A20010101.0300.020.nc4.SUB.nc4"),
        ("smap-l3e", "SMAP_L3_SM_P_E_20150401_R19240_001.h5"),
        ("smap-l3e", "SMAP_L3_SM_P_E_20150401_R16510_001_HEGOUT.nc"),
        ("smap-l3e", "SMAP_L3_SM_P_E_20231205_R19240_001_HEGOUT.h5"),
        ("smap-l3e", "SPL3SMP_E.006_9km_aid0001.nc"),
        ("smos-l3", "SM_RE07_MIR_CLF31A_20150507T000000_20150507T235959_300_001_7.DBL.nc"),
        ("smos-l3", "SM_OPER_MIR_CLF3SD_20220507T000000_20220507T235959_300_001_7.DBL.nc"),
        ("amsr2-lprm", "LPRM-AMSR2_L3_A_SOILM3_V001_20150401013507.nc4.SUB.nc4"),
        ("amsr2-lprm", "LPRM-AMSR2_L3_DS_D_SOILM3_V001_20150401013507.nc4"),
        ("mod13c2", "MOD13C2.A2015091.061.nc"),
        ("mod13c2", "MOD13C2.A2015091.061.2021327005613.hdf.nc"),
        ("mod13c2", "mod13c2.a2015091.061.2021327005613.h5"),
        ("mod13c2", "MOD13C2.061_0.05deg_aid0001.nc".replace("0.05", "0_05")),
        ("mcd43a3", "MCD43A3.006_500m_aid0002.nc"),
        ("myd11a1", "MYD11A1.061_1km_aid0001 (2).nc"),
        ("somo-ml", "SoMo.ml_v1_layer1_2015.nc"),
        ("hwsd", "T_SAND (1).nc4"),
    ],
)
def test_names_of_distributors(source: str, name: str) -> None:
    assert match_name(source_entry(source), name), producer_name(name)
    assert sibling_of_name(source_entry(source), name) is None


@pytest.mark.parametrize(
    ("source", "name", "product"),
    [
        ("gldas-noah025", "GLDAS_CLSM025_DA1_D.A20160101.022.nc4.SUB.nc4", "CLSM"),
        ("gldas-noah025", "GLDAS_NOAH025_M.A201601.021.nc4", "monthly"),
        ("gldas-noah025", "GLDAS_VIC10_M.A201601.021.nc4.SUB.nc4", "VIC"),
        ("gldas-noah025", "GLDAS_NOAH10_3H.A20160101.0300.021.nc4", "1 degree"),
        ("imerg", "3B-MO.MS.MRG.3IMERG.20200601-S000000-E235959.06.V07B.HDF5", "monthly"),
        ("smap-l3e", "SMAP_L4_SM_gph_20150401T013000_Vv7032_001_HEGOUT.nc", "L4"),
        ("smap-l3e", "SMAP_L2_SM_P_E_00860_D_20150401T002356_R18290_001.h5", "L2"),
        ("smap-l3e", "SMAP_L3_SM_AP_20150413_R13080_001.h5", "active"),
        ("smos-l3", "SM_RE04_MIR_CLF33A_20150301T000000_20150303T235959_300_001_7.DBL.nc", "3 days"),
        ("smos-l3", "SM_OPER_MIR_CLF4RD_20220507T000000_20220507T235959_300_001_7.DBL.nc", "root-zone"),
        ("amsr2-lprm", "LPRM-AMSR2_L2_DS_D_SOILM2_V001_20120702231838.nc4", "swath"),
        ("mcd43a3", "MCD43C3.A2015091.061.2021327005613.nc", "MCD43C3"),
        ("myd11a1", "MOD11A1.061_1km_aid0001.nc", "Terra"),
        ("myd11a1", "MYD11A2.061_1km_aid0001.nc", "8-day"),
        ("mod13c2", "MOD13C1.A2015097.061.2021327005613.h5", "16-day"),
        ("mswep", "201501.nc", "monthly"),
        ("hwsd", "S_SAND.nc4", "subsoil"),
    ],
)  # fmt: skip
def test_other_products_are_named(tmp_path: Path, source: str, name: str, product: str) -> None:
    (tmp_path / name).write_bytes(b"1")
    entry = source_entry(source)
    assert not matching_files(entry, tmp_path)
    with pytest.raises(DatasetError, match=rf"has no file of .*, but 1 file of .*{product}.*\. (Get|Order) "):
        find_granules(entry, tmp_path)


def test_examples_are_no_siblings() -> None:
    for entry in source_entries().values():
        assert sibling_of_name(entry, entry.example) is None
    entry = source_entry("hwsd")
    broken = entry.model_dump() | {"siblings": [Sibling(title="x", files="^T_SAND").model_dump()]}
    with pytest.raises(ValueError, match=r"example 'T_SAND.nc4' matches the sibling 'x'"):
        SourceEntry.model_validate(broken)


def test_copies_are_read_once(tmp_path: Path) -> None:
    """A copy of a browser or of wget has the same bytes; two areas of one day have the same name and both are read."""
    first = write(imerg_daily(), tmp_path / "a" / f"{IMERG_NAME}.SUB.nc4")
    for copy in (f"{IMERG_NAME}.SUB (1).nc4", f"{IMERG_NAME}.SUB.nc4.1"):
        shutil.copyfile(first, tmp_path / "a" / copy)
    ds = ImergReader().open(tmp_path)
    assert ds.sizes["time"] == 1
    assert "not read: copies of other files (2)" in ds.attrs["notes"]
    # Other bytes for the same cells: the user has to choose.
    write(imerg_daily(field=FIELD * 2), tmp_path / "b" / f"{IMERG_NAME}.SUB.nc4")
    with pytest.raises(DatasetError, match=r"is in two files: .*a/3B-DAY.* and .*b/3B-DAY.*Remove one"):
        ImergReader().open(tmp_path)


def test_early_product_only_where_the_final_one_is_missing(tmp_path: Path) -> None:
    early = GLDAS_NAME.replace("3H", "3H_EP")
    write(gldas(), tmp_path / GLDAS_NAME)
    write(gldas(water=FIELD * 2), tmp_path / early)
    write(gldas("2016-01-01T06:00", FIELD * 2), tmp_path / f"{early.replace('0300', '0600')}.SUB.nc4")
    ds = GldasNoahReader().open(tmp_path)
    np.testing.assert_allclose(ds.sm_product[:, 0, 0], [0.01, 0.02], rtol=1e-6)
    assert "1 of 2 files are the early product" in ds.attrs["notes"]


def test_runs_of_imerg_are_not_mixed(tmp_path: Path) -> None:
    """The advice of the refusal, the option run, reads the file under its own name."""
    late = IMERG_NAME.replace("DAY", "DAY-L")
    write(imerg_daily().assign_attrs(title="GPM IMERG Late Precipitation L3 1 day"), tmp_path / late)
    with pytest.raises(DatasetError, match=r"has 1 file of the Late Run .*with the option run: late"):
        ImergReader().open(tmp_path)
    ds = ImergReader(run="late").open(tmp_path)
    assert "IMERG Late" in ds.precipitation.attrs["source"]
    renamed = tmp_path / "renamed" / IMERG_NAME
    renamed.parent.mkdir()
    shutil.copyfile(tmp_path / late, renamed)
    with pytest.raises(DatasetError, match=r"is of the Late Run by its attributes .*Final Run by its name"):
        ImergReader().open(renamed)
    renamed.unlink()
    write(imerg_daily(field=FIELD * 2), tmp_path / IMERG_NAME)
    both = ImergReader().open(tmp_path)
    np.testing.assert_allclose(both.precipitation[0, 0, 0], 2)
    assert "not read: 1 file of the Late Run" in both.attrs["notes"]
    with pytest.raises(DatasetError, match=r"unknown run 'Late' of IMERG. Did you mean 'late'"):
        ImergReader(run="Late")  # type: ignore[arg-type]


def test_aggregated_smos_under_a_daily_name(tmp_path: Path) -> None:
    path = tmp_path / "SM_RE07_MIR_CLF31A_20150301T000000_20150303T235959_300_001_7.DBL.nc"
    path.write_bytes(b"CDF\x02")
    with pytest.raises(
        DatasetError, match=r"covers 20150301 to 20150303 by its name; expected a map of one day"
    ):
        SmosL3Reader().open(path)


def test_packed_files_and_those_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "SM_OPER_MIR_CLF31A_20161016T000000_20161016T235959_300_001_7.tgz").write_bytes(b"1")
    with pytest.raises(DatasetError, match=r"has packed files of SMOS .*\.tgz; 1 in all\). Unpack them"):
        find_granules(source_entry("smos-l3"), tmp_path)
    (tmp_path / "._2015091.nc").write_bytes(b"1")
    assert not matching_files(source_entry("mswep"), tmp_path)
    # Months of one size under one name are different files.
    for k in range(3):
        (tmp_path / str(k)).mkdir()
        (tmp_path / str(k) / "T_SAND.nc4").write_bytes(b"0" * 9000 + bytes([k // 2]) + b"0" * 9000)
    notes: list[str] = []
    assert len(find_granules(source_entry("hwsd"), tmp_path, notes=notes)) == 2
    assert notes == ["not read: copies of other files (1)"]
