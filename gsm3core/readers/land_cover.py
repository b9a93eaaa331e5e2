"""ESA CCI land cover (LCCS) to IGBP classes, by the definitions of the two legends."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The class used, then the other classes that the LCCS class may be.
IGBP_OF_LCCS: dict[int, tuple[int, ...]] = {
    10: (12,), 11: (12,), 12: (12, 14), 20: (12,), 30: (14, 12), 40: (14, 8, 9, 10),
    50: (2, 8), 60: (4, 8, 9), 61: (4, 8), 62: (9, 8), 70: (1, 8, 9), 71: (1, 8), 72: (9, 8),
    80: (3, 8, 9), 81: (3, 8), 82: (9, 8), 90: (5, 8, 9), 100: (8, 9, 7), 110: (9, 10, 7),
    120: (7, 6), 121: (7, 6), 122: (7, 6), 130: (10,), 140: (16, 10, 7),
    150: (16, 7, 9, 10), 151: (16, 9), 152: (16, 7), 153: (16, 10),
    160: (11, 2, 4), 170: (11, 2), 180: (11,), 190: (13,), 200: (16,), 201: (16,), 202: (16,), 210: (0,), 220: (15,),
}  # fmt: skip
AMBIGUOUS = tuple(lccs for lccs, igbp in IGBP_OF_LCCS.items() if len(igbp) > 1)


def igbp_of_lccs(lccs: ArrayLike) -> NDArray[np.float32]:
    """Return the IGBP class of each LCCS class; NaN for no data and unknown classes.

    Parameters
    ----------
    lccs
        Class numbers of ESA CCI land cover (10 to 220); NaN or 0 for no data.

    Returns
    -------
    numpy.ndarray
        Class numbers of :data:`gsm3core.vocabulary.IGBP_CLASSES`, single precision.

    Notes
    -----
    No published table between the legends was found; tables in use differ, for example for 30 (cropland, mosaic or
    mixed forest). This table follows the definitions: ESA (2017), Land Cover CCI Product User Guide Version 2,
    table 3-1, and IGBP's (Loveland and Belward 1997, doi:10.1080/014311697217099). IGBP's forests have more than 60 % of
    trees, woody savannas 30-60 %, savannas 10-30 %, closed shrublands more than 60 % of shrubs, open ones 10-60 %, barren
    land less than 10 % of plants; LCCS divides at 15 and 40 %. Of several IGBP classes, the one that covers most of the LCCS
    class's range is used; :data:`IGBP_OF_LCCS` lists the others. Keep ``land_cover_lccs`` beside it; where the difference
    matters, use MCD12Q1, a native IGBP product.
    """
    values = np.asarray(lccs, np.float64)
    table = np.full(256, np.nan, np.float32)
    for number, igbp in IGBP_OF_LCCS.items():
        table[number] = igbp[0]
    known = np.isfinite(values) & (values >= 0) & (values <= 255)
    return table[np.where(known, values, 0).astype(np.intp)]
