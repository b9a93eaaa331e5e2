"""Selection of one session and the scores loaded for it; no widgets, plots or files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import param

from app.services.evaluation import ALL_YEAR, GROUPINGS, Evaluation
from app.services.site_filters import Shown, shown_sites
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.evaluation.day_masks import MASKS
from gsm3core.evaluation.pairing import PAIRWISE, SAME_SAMPLE
from gsm3core.evaluation.reference_scaling import NO_SCALING, SCALINGS
from gsm3core.evaluation.site_selection import SiteFilter
from gsm3core.evaluation.stratified import LOCAL_SEASONS
from gsm3core.evaluation.triplets import AUTOMATIC
from gsm3core.metrics import ALL_METRICS

OVERVIEW, SITES, COMPARE, FACTORS = "overview", "sites", "compare", "factors"
EXPERIMENTS, DATA = "experiments", "data"
PRODUCTS_ONLY = "none"
NEWEST = ""
OUTLINE, ONLINE = "outline", "online"
KEEP, LEAVE_OUT = "keep", "leave_out"
FILTERS = (
    "region",
    "network",
    "land_cover",
    "climate",
    "moisture",
    "moisture_of",
    "aspect",
    "depth",
    "area",
    "suspect",
)
"""Parameters that determine which sites are shown."""
LOADED = ("dataset", "run", "reference", "season", "scaling", "masks", "min_days", "third")
"""Parameters that determine which scores are loaded."""


def _names(doc: str) -> param.List:
    return param.List(default=[], item_type=str, doc=doc)


def _limits(doc: str) -> param.Range:
    return param.Range(default=None, allow_None=True, doc=doc)


class Selection(param.Parameterized):
    """Selection of one session, and the state derived from it.

    The selected parameters (``page`` to ``theme``) are in the URL; the others are derived. Views watch ``shown`` for
    the sites to show, not the individual filters.
    """

    page = param.Selector(
        default=OVERVIEW,
        objects=[OVERVIEW, SITES, COMPARE, FACTORS, EXPERIMENTS, DATA],
        doc="Page shown.",
    )
    dataset = param.String(default="", doc="Name of a dataset; by default the first one.")
    run = param.String(
        default=NEWEST, doc="Id of a run; empty for the newest with scores; 'none' for no run."
    )
    reference = param.String(
        default="", doc="Reference record the products are scored against; by default the first one."
    )
    season = param.Selector(
        default=ALL_YEAR, objects=[ALL_YEAR, *LOCAL_SEASONS], doc="Season of the days that are scored."
    )
    scaling = param.Selector(
        default=NO_SCALING, objects=list(SCALINGS), doc="Scaling to the reference before scoring."
    )
    masks = param.List(default=[], item_type=str, doc="Masks of days that are left out of the scores.")
    min_days = param.Integer(default=0, bounds=(0, 10_000), doc="Minimum number of paired days of a score.")
    third = param.String(
        default=AUTOMATIC, doc="Third product of triple collocation; by default chosen for each product."
    )
    product = param.String(default="", doc="Product on the map; by default the run's prediction.")
    metric = param.Selector(default="R", objects=list(ALL_METRICS), doc="Score on the map.")
    limits = _limits("Limits of the colour scale; by default the metric's.")
    region = _names("Regions shown; by default all.")
    network = _names("Networks shown; by default all.")
    land_cover = _names("Land covers shown; by default all.")
    climate = _names("Climates shown; by default all.")
    moisture = _limits("Range of mean soil moisture, m3 m-3.")
    moisture_of = param.String(default=v.SMAP, doc="Record whose mean soil moisture is filtered.")
    aspect = _limits("Range of poleward aspect, -1 to 1.")
    depth = _limits("Range of the depth of the in-situ sensor, m.")
    area = param.Parameter(default=(), doc="Corners of the polygon drawn on the map, degrees.")
    suspect = param.Selector(
        default=KEEP, objects=[KEEP, LEAVE_OUT], doc="Whether sites with a suspect in-situ record are shown."
    )
    grouping = param.Selector(
        default=v.REGION, objects=list(GROUPINGS), doc="Site attribute that groups the boxplots."
    )
    group = param.String(default="", doc="Group whose sites are highlighted on the map.")
    site = param.String(default="", doc="Selected site; by default a typical one.")
    experiment = param.String(default="", doc="Run shown on the Experiments page.")
    other = param.String(default="", doc="Second product of the comparison; by default a good one.")
    other_run = param.String(default="", doc="Id of a second run to compare; empty for none.")
    sample = param.Selector(
        default=SAME_SAMPLE, objects=[SAME_SAMPLE, PAIRWISE], doc="Days on which products are compared."
    )
    difference_limit = param.Number(
        default=0.0, bounds=(0.0, 10.0), doc="Upper limit of the difference scale; 0 for the metric's own."
    )
    background = param.Selector(default=OUTLINE, objects=[OUTLINE, ONLINE], doc="Background of the map.")
    factor = param.String(default="", doc="Factor whose effect is shown; by default the most important.")
    factor_moisture = param.String(
        default="", doc="Record whose mean soil moisture separates dry from moist sites."
    )
    theme = param.Selector(default="light", objects=["light", "dark"], doc="Colour theme.")

    run_shown = param.String(default="", doc="Id of the run of `evaluation`; empty without a run.")
    evaluation = param.ClassSelector(
        class_=Evaluation, default=None, doc="Loaded scores; None before the first ones."
    )
    shown = param.ClassSelector(
        class_=Shown, default=None, doc="Sites that pass the filters; None before scores are loaded."
    )
    site_shown = param.String(default="", doc="Site shown: `site`, or a typical one.")
    dropped_masks = param.List(
        default=[], item_type=str, doc="Masks that were selected but that the dataset has no variable for."
    )
    loading_message = param.String(default="", doc="What is being loaded; empty when idle.")
    problem = param.String(
        default="", doc="Why no scores can be shown, and what to do; empty without an error."
    )

    batched_updates: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)
    """Context of every change and of the callbacks it triggers; the server sends their updates as one message."""

    def __init__(self, **selected: object) -> None:
        super().__init__(**selected)
        self._product_chosen = bool(self.product)
        self.param.watch(self._update_shown, list(FILTERS))

    def __setattr__(self, name: str, value: object) -> None:
        with self.batched_updates():
            super().__setattr__(name, value)

    def change(self, **values: object) -> None:
        """Change several parameters in one step."""
        with self.batched_updates():
            self.param.update(**values)

    @property
    def dark(self) -> bool:
        """Whether the dark theme is selected."""
        return bool(self.theme == "dark")

    @property
    def filters(self) -> SiteFilter:
        """Selected site filters."""
        return self._filters_with({})

    def resolve(self, store: Store) -> tuple[str, str, str]:
        """Return the dataset, run and reference to load: the selected ones where they exist, else the defaults.

        Raises
        ------
        GSM3Error
            If the dataset cannot be read.
        """
        datasets = store.datasets()
        dataset = self.dataset if self.dataset in datasets else next(iter(datasets), "")
        if not dataset:
            return "", "", ""
        runs = store.runs_of(dataset)
        run = "" if self.run == PRODUCTS_ONLY else self.run if self.run in runs else next(iter(runs), "")
        references = store.references(dataset, run)
        reference = self.reference if self.reference in references else next(iter(references), v.SM_INSITU)
        return dataset, run, reference

    def masks_to_load(self, store: Store, dataset: str) -> tuple[str, ...]:
        """Return the selected masks that a dataset has the variables for, in their order."""
        chosen = [name for name in MASKS if name in self.masks]
        known = store.masks_of(dataset) if chosen else ()
        return tuple(name for name in chosen if name in known)

    def apply_evaluation(self, evaluation: Evaluation) -> None:
        """Set the loaded scores and make the selection consistent with them, in one step."""
        products = evaluation.products
        product = self.product
        if product not in products or (
            evaluation.run and evaluation.run != self.run_shown and not self._product_chosen
        ):
            product = next(iter(products), "")
        # A filter on names that the dataset lacks would hide every site, and the sidebar could not show why.
        valid: dict[str, object] = {
            kind: [name for name in getattr(self, kind) if name in evaluation.names(kind)]
            for kind in ("region", "network", "land_cover", "climate")
        }
        records = [str(name) for name in evaluation.moisture]
        if self.masks != list(evaluation.masks):
            valid["masks"] = list(evaluation.masks)
        valid["dropped_masks"] = [name for name in self.masks if not evaluation.mask_sources.get(name)]
        if evaluation.sites[v.DEPTH].isna().all():
            valid["depth"] = None
        if self.third and self.third not in products:
            valid["third"] = AUTOMATIC
        if self.moisture_of not in records:
            valid["moisture_of"] = next(iter(records), v.SMAP)
        if self.grouping not in evaluation.groupings:
            valid["grouping"] = v.REGION
        shown = shown_sites(evaluation, self._filters_with(valid))
        known = self.site in evaluation.sites.index
        self.change(
            evaluation=evaluation,
            dataset=evaluation.dataset,
            run_shown=evaluation.run,
            reference=evaluation.reference,
            product=product,
            **valid,
            shown=shown,
            site=self.site if known else "",
            site_shown=self.site if known else evaluation.typical_site(product, self.metric, shown.mask),
            loading_message="",
            problem="",
        )

    def choose_product(self, product: str) -> None:
        """Select a product; a run that finishes later does not replace it."""
        self._product_chosen = True
        self.product = product

    def choose_metric(self, metric: str) -> None:
        """Select a metric, with its default colour scale."""
        if metric != self.metric:
            self.change(metric=metric, limits=None, difference_limit=0.0)

    def choose_site(self, site: str) -> None:
        """Select a site."""
        if self.evaluation is not None and site in self.evaluation.sites.index:
            self.change(site=site, site_shown=site)

    def choose_group(self, group: str) -> None:
        """Highlight the sites of one boxplot group on the map; the same group again clears it."""
        self.group = "" if group == self.group else group

    def reset_filters(self) -> None:
        """Reset the site filters, the season, the masks and the minimum number of days."""
        self.change(
            **{
                name: self.param[name].default
                for name in (*FILTERS, "season", "masks", "min_days")
                if name != "moisture_of"
            }
        )

    def show_run(self, run_id: str, dataset: str) -> None:
        """Show a finished run on the Sites page, with its prediction on the map."""
        self._product_chosen = False
        is_loaded = self.evaluation is not None and self.evaluation.run == run_id
        product = self.evaluation.own if is_loaded else ""
        self.change(page=SITES, dataset=dataset, run=run_id, reference="", product=product)

    def show_error(self, problem: str) -> None:
        """Clear the scores and show why there are none."""
        self.change(problem=problem, loading_message="", evaluation=None, shown=None)

    def _filters_with(self, changes: dict[str, object]) -> SiteFilter:
        values = {name: changes.get(name, getattr(self, name)) for name in FILTERS}
        values["polygon"] = values.pop("area")
        values["without_suspect"] = values.pop("suspect") == LEAVE_OUT
        return SiteFilter(**{n: tuple(x) if isinstance(x, list) else x for n, x in values.items()})  # type: ignore[arg-type]

    def _update_shown(self, *_: param.parameterized.Event) -> None:
        if self.evaluation is None:
            return
        shown = shown_sites(self.evaluation, self.filters)
        if not shown.same(self.shown):
            self.shown = shown
