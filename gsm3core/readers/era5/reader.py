"""ERA5 and ERA5-Land from netCDF files: hourly values, daily statistics, monthly means, in every known layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import xarray as xr

from gsm3core.catalog import SourceEntry, source_entry
from gsm3core.config import Period
from gsm3core.errors import DatasetError
from gsm3core.readers.era5.choice import choose_files
from gsm3core.readers.era5.granules import granules_of
from gsm3core.readers.era5.product import Product
from gsm3core.readers.era5.survey import FileSurvey, check_readable, survey_file
from gsm3core.readers.granules import NoDataInPeriodError, Roots, find_granules
from gsm3core.readers.gridded import Transform, read_grid, select_variables

_STEP = pd.Timedelta("1h")


class Era5Reader:
    """Reads the catalogue's variables, from one file or several as the CDS delivers them.

    Parameters
    ----------
    variables
        Canonical names; ``None`` for all that the files have.
    statistic
        Statistic of a day for which the values are read: daily statistics of the CDS serve their own one only, hourly values
        every one.
    check_product
        Refuse files of ERA5-Land in place of ERA5, and the reverse. Without it, files are read as this product.

    Notes
    -----
    Hersbach et al. (2020), doi:10.1002/qj.3803. Precipitation and radiation are amounts of the hour that ends at the
    label; they become rates labelled at its start. Totals since 00 UTC (ERA5-Land) become amounts of their hours first, see
    :mod:`gsm3core.readers.era5.accumulation`. Of a file with final and preliminary data (``expver`` 1 and 5), the final
    ones are read where there are any. Daily statistics and monthly means are repeated at the hours that they cover; the
    attribute ``interval`` of a variable is P1M where its values are monthly means.
    """

    product: Product = "ERA5"
    source = "era5"

    def __init__(
        self, variables: Iterable[str] | None = None, statistic: str = "mean", check_product: bool = True
    ) -> None:
        self.variables = None if variables is None else tuple(variables)
        self.statistic = statistic
        self.check_product = check_product

    def open(
        self, root: Roots, period: Period | None = None, *, transform: Transform | None = None
    ) -> xr.Dataset:
        """Return ``(time, lat, lon)``; see :class:`gsm3core.readers.gridded.GridReader`.

        Raises
        ------
        DatasetError
            Also if the files are of the other product or of the ensemble, or have other daily statistics only.
        """
        entry = source_entry(self.source)
        notes: list[str] = []
        surveys, errors = _surveys(entry, [g.path for g in find_granules(entry, root, notes=notes)])
        check_readable(surveys, errors)
        choice = choose_files(
            surveys, select_variables(entry, self.variables), product=self.product, statistic=self.statistic,
            check_product=self.check_product, root=root, unreadable=errors, explicit=self.variables is not None,
        )  # fmt: skip
        reading = granules_of(entry, choice, surveys, period)
        if not reading.rows:
            names = ", ".join(x.theirs[0] for x in choice.variables)
            span = f"{period.start} to {period.end}" if period else "any day"
            raise NoDataInPeriodError(
                f"no value of {entry.name} for {span} in {len(surveys)} files (variables {names})."
                + "".join(f" {n}" for n in choice.notes if n.startswith("not read"))
            )
        out = read_grid(
            entry, reading.granules(), reading.variables, period=period, step=_STEP, transform=transform,
            allow_missing=True, notes=[*notes, *choice.notes, *reading.notes()],
        )  # fmt: skip
        for name in choice.monthly & set(map(str, out.data_vars)):
            out[name].attrs["interval"] = "P1M"
        out.attrs["preliminary_steps"] = reading.preliminary
        return out


class Era5LandReader(Era5Reader):
    """Reads ERA5-Land; accumulations since 00 UTC become amounts per hour.

    Notes
    -----
    Munoz-Sabater et al. (2021), doi:10.5194/essd-13-4349-2021.
    """

    product: Product = "ERA5-Land"
    source = "era5-land"


def _surveys(entry: SourceEntry, paths: list[Path]) -> tuple[list[FileSurvey], dict[Path, DatasetError]]:
    """Return what the files have, and the errors of those that cannot be opened."""
    found, errors = [], {}
    for path in paths:
        try:
            found.append(survey_file(entry.name, path))
        except DatasetError as error:
            errors[path] = error
    return found, errors
