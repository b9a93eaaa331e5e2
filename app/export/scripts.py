"""The lines of Python that make the numbers on the page without it."""

from __future__ import annotations

from app.services.evaluation import ALL_YEAR, Evaluation
from app.services.site_filters import Filters
from app.services.site_table import ASPECT, CLIMATE, LAND_COVER
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.metrics import METRICS

_RECORD = {v.IN_SITU: v.SM_INSITU, v.SMAP: v.SM_SMAP}
_MERCATOR = "mercator = lambda lon, lat: (np.radians(lon), np.log(np.tan(np.pi / 4 + np.radians(lat) / 2)))  # as on the map"


def python_lines(
    store: Store, evaluation: Evaluation, filters: Filters, product: str, metric: str, min_days: int = 0
) -> str:
    """Return a script that ends with ``values``: the scores of the sites shown, ``(site)``.

    Parameters
    ----------
    store
        Knows where the files lie.
    evaluation, filters, product, metric, min_days
        What is on the page.
    """
    lines = [f"ds = gsm3core.open_dataset({str(store.dataset_path(evaluation.dataset))!r})"]
    needs = {"import gsm3core", "import numpy as np"}
    lines += _scores(store, evaluation, product, metric, min_days, needs)
    lines += ["", *kept_lines(filters, needs)]
    lines += [
        "",
        f"values = scores[{metric!r}].reindex(site=ds['site'].values[keep])",
        f"print(int(values.notnull().sum()), 'sites, median {metric}', float(values.median()))",
    ]
    return script(needs, lines)


def script(needs: set[str], lines: list[str]) -> str:
    """Return a script: its imports, then its lines."""
    return "\n".join([*sorted(needs), "", *lines]).replace("'", '"') + "\n"


def kept_lines(filters: Filters, needs: set[str]) -> list[str]:
    """Return the lines that make ``keep``, a mask over the sites of ``ds``: the ones that are shown."""
    return ["keep = np.ones(ds.sizes['site'], bool)", *_kept(filters, needs)]


def _scores(
    store: Store, evaluation: Evaluation, product: str, metric: str, min_days: int, needs: set[str]
) -> list[str]:
    """As the page does: a run's own scores from its folder, everything else from the series."""
    lines, options = [], "" if metric in METRICS else f", metrics=[{metric!r}]"
    of_run = bool(evaluation.run) and evaluation.season == ALL_YEAR and metric in METRICS
    if evaluation.run:
        folder = store.run(evaluation.run).folder
        lines += [f"run = gsm3core.Run.open({str(folder)!r})"]
    if of_run:
        lines += [f"scores = run.scores({evaluation.reference!r}).sel(product={product!r})"]
        if min_days:
            lines += [f"scores = scores.drop_vars('reason').where(scores['n_valid'] >= {min_days})"]
        return lines
    fewest = store.run(evaluation.run).config.scores.min_days if evaluation.run else 30
    if max(fewest, min_days) != 30:
        options += f", min_days={max(fewest, min_days)}"
    if evaluation.run:
        lines += ["predictions = run.predictions()"]
    if product == evaluation.own:
        lines += ["series = predictions['sm_predicted']"]
    else:
        needs.add("from gsm3core.schema import products")
        lines += [f"series = products(ds)[{product!r}]"]
    if evaluation.run:
        lines += [
            "series = series.where(predictions['in_test']).assign_attrs(units='m3 m-3')  # its test days"
        ]
    if evaluation.season == ALL_YEAR:
        return [*lines, f"scores = gsm3core.site_scores(series, ds[{evaluation.reference!r}]{options})"]
    needs.add("from gsm3core.evaluation.stratified import season_scores")
    return [
        *lines,
        f"scores = season_scores(series, ds[{evaluation.reference!r}]{options}).sel(season={evaluation.season!r}).compute()",
    ]


def _kept(filters: Filters, needs: set[str]) -> list[str]:
    lines = [
        f"keep &= np.isin(ds[{kind!r}], {list(getattr(filters, kind))!r})"
        for kind in (v.REGION, v.NETWORK)
        if getattr(filters, kind)
    ]
    for kind in (LAND_COVER, CLIMATE):
        if names := getattr(filters, kind):
            needs.add("from gsm3core.evaluation.strata import site_strata")
            lines += [f"keep &= np.isin(site_strata(ds, {kind!r}), {list(names)!r})"]
    if filters.moisture:
        record = f"ds[{_RECORD[filters.moisture_of]!r}]" if filters.moisture_of in _RECORD else ""
        if not record:
            needs.add("from gsm3core.schema import products")
            record = f"products(ds)[{filters.moisture_of!r}]"
        lines += [
            f"wet = {record}.mean('time', dtype=float).values",
            f"keep &= {_between('wet', filters.moisture)}",
        ]
    if filters.aspect:
        lines += [f"aspect = ds[{ASPECT!r}].values", f"keep &= {_between('aspect', filters.aspect)}"]
    if filters.area:
        needs.add("import shapely")
        lines += [
            _MERCATOR,
            f"corners = np.array({[list(c) for c in filters.area]!r})",
            "area = shapely.make_valid(shapely.Polygon(np.column_stack(mercator(*corners.T))))",
            "keep &= shapely.intersects_xy(area, *mercator(ds['lon'].values, ds['lat'].values))",
        ]
    return lines


def _between(name: str, limits: tuple[float, float]) -> str:
    return f"({name} >= {limits[0]!r}) & ({name} <= {limits[1]!r})"
