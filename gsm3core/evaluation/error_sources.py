"""Sources of the random errors of soil-moisture products, and which products have independent errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from gsm3core import vocabulary as v
from gsm3core.evaluation.test_days import is_training_product

IN_SITU, SATELLITE, MODEL, LEARNED = "in situ", "satellite", "model", "trained model"
SENSORS = "in-situ sensors"
L_BAND = "L-band radiometry"
C_BAND = "C- and X-band radiometry"
SCATTEROMETER = "scatterometer"
PRECIPITATION = "precipitation"


@dataclass(frozen=True, slots=True)
class ErrorSources:
    """What the random errors of a product come from.

    Parameters
    ----------
    kind
        ``in situ``, ``satellite``, ``model`` or ``trained model``.
    sources
        Errors of two products are taken as independent if they have none of these in common.
    """

    kind: str
    sources: frozenset[str]


def _of(kind: str, *sources: str) -> ErrorSources:
    return ErrorSources(kind, frozenset(sources))


ERROR_SOURCES: MappingProxyType[str, ErrorSources] = MappingProxyType(
    {
        v.IN_SITU: _of(IN_SITU, SENSORS),
        v.SMAP: _of(SATELLITE, L_BAND),
        "SMAP L4": _of(MODEL, L_BAND, PRECIPITATION),
        v.SMOS: _of(SATELLITE, L_BAND),
        v.AMSR2: _of(SATELLITE, C_BAND),
        "ASCAT": _of(SATELLITE, SCATTEROMETER),
        "ESA CCI": _of(SATELLITE, L_BAND, C_BAND, SCATTEROMETER),
        "C3S": _of(SATELLITE, L_BAND, C_BAND, SCATTEROMETER),
        "GLDAS": _of(MODEL, PRECIPITATION),
        "ERA5": _of(MODEL, PRECIPITATION, SCATTEROMETER),
        "ERA5-Land": _of(MODEL, PRECIPITATION),
        v.SOMO_ML: _of(LEARNED, PRECIPITATION, SENSORS),
    }
)
"""Sources by product name.

Two radiometers of one band share emission models and ancillary data; models share gauges and satellite rain in their
precipitation; SMAP L4 assimilates SMAP (Reichle et al. 2019, doi:10.1029/2019MS001729), ERA5 scatterometer soil moisture
(Hersbach et al. 2020, doi:10.1002/qj.3803), ERA5-Land none (Muñoz-Sabater et al. 2021, doi:10.5194/essd-13-4349-2021). ESA CCI
and C3S merge radiometers and scatterometers (Gruber et al. 2019, doi:10.5194/essd-11-717-2019). SoMo.ml was trained on in-situ
records (O and Orth 2021, doi:10.1038/s41597-021-00964-1).
"""


def sources_of(product: str) -> ErrorSources | None:
    """Return the error sources of a product by its name, or ``None`` if the name is not known.

    A name may continue after a space, a hyphen or an underscore: ``SMAP L3``, ``GLDAS-Noah``, ``esa_cci_combined``. The
    predictions of a run are taken as trained on SMAP and in situ; its fit to its training days shares the errors of both.
    """
    if is_training_product(product):
        return _of(LEARNED, PRECIPITATION, L_BAND, SENSORS)
    if product in v.MODEL_PRODUCTS.values():
        return trained_sources(v.TARGETS)
    words = _words(product)
    known = [name for name in ERROR_SOURCES if words[: len(_words(name))] == _words(name)]
    return ERROR_SOURCES[max(known, key=lambda name: len(_words(name)))] if known else None


def trained_sources(targets: Iterable[str]) -> ErrorSources:
    """Return the error sources of a run's predictions on its test days.

    Parameters
    ----------
    targets
        Training targets of the run. Errors that SMAP makes with the weather are alike everywhere and are learned from
        it; errors of the in-situ sensors of test sites or test days are not among the training data.
    """
    return _of(LEARNED, PRECIPITATION, *([L_BAND] if v.SM_SMAP in targets else []))


def shared_sources(first: ErrorSources, second: ErrorSources) -> list[str]:
    """Return the sources of error that two products have in common."""
    return sorted(first.sources & second.sources)


def _words(name: str) -> list[str]:
    return re.split(r"[\s_-]+", name.casefold().strip())
