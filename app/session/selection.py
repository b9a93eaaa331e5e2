"""What a visitor has selected, and what was loaded for it; no widget, no plot, no file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import param

from app.services.evaluation import ALL_YEAR, GROUPINGS, Evaluation
from app.services.site_filters import Filters, Shown, shown_sites
from app.services.store import Store
from gsm3core import vocabulary as v
from gsm3core.evaluation.pairing import PAIRWISE, SAME_SAMPLE
from gsm3core.evaluation.stratified import LOCAL_SEASONS
from gsm3core.metrics import ALL_METRICS

OVERVIEW, SITES, COMPARE, FACTORS = "overview", "sites", "compare", "factors"
EXPERIMENTS, DATA = "experiments", "data"
PRODUCTS_ONLY = "none"
NEWEST = ""
OUTLINE, ONLINE = "outline", "online"
FILTERS = ("region", "network", "land_cover", "climate", "moisture", "moisture_of", "aspect", "area")
"""Parts of the selection that say which sites are shown."""
LOADED = ("dataset", "run", "reference", "season", "min_days")
"""Parts of the selection that say which scores are shown."""


def _names(doc: str) -> param.List:
    return param.List(default=[], item_type=str, doc=doc)


def _limits(doc: str) -> param.Range:
    return param.Range(default=None, allow_None=True, doc=doc)


class Selection(param.Parameterized):
    """One visitor's selection, and what follows from it.

    What is chosen (``page`` to ``theme``) is in the page's address. The rest follows from it: views watch ``shown``
    for which sites they show, never the single filters.
    """

    page = param.Selector(
        default=OVERVIEW,
        objects=[OVERVIEW, SITES, COMPARE, FACTORS, EXPERIMENTS, DATA],
        doc="Which page is shown.",
    )
    dataset = param.String(default="", doc="Name of a dataset; the first there is by default.")
    run = param.String(
        default=NEWEST, doc="Id of a run; empty for the newest with scores; 'none' for no run."
    )
    reference = param.String(
        default="", doc="What the products are compared with; the first there is by default."
    )
    season = param.Selector(
        default=ALL_YEAR, objects=[ALL_YEAR, *LOCAL_SEASONS], doc="Of which days the scores are."
    )
    min_days = param.Integer(default=0, bounds=(0, 10_000), doc="Fewest paired days that a score needs.")
    product = param.String(default="", doc="Product on the map; the run's own by default.")
    metric = param.Selector(default="R", objects=list(ALL_METRICS), doc="Score on the map.")
    limits = _limits("Ends of the score's scale; its own by default.")
    region = _names("Regions that are shown; all by default.")
    network = _names("Networks that are shown; all by default.")
    land_cover = _names("Land covers that are shown; all by default.")
    climate = _names("Climates that are shown; all by default.")
    moisture = _limits("Range of mean soil moisture, m3 m-3.")
    moisture_of = param.String(default=v.SMAP, doc="Whose mean soil moisture.")
    aspect = _limits("Range of poleward aspect, -1 to 1.")
    area = param.Parameter(default=(), doc="Corners of what was drawn on the map, degrees: an Area.")
    grouping = param.Selector(default=v.REGION, objects=list(GROUPINGS), doc="What the boxes are a row of.")
    group = param.String(default="", doc="Row of the boxes whose sites stand out on the map.")
    site = param.String(default="", doc="Site that is shown; a typical one by default.")
    experiment = param.String(default="", doc="Run that is followed on the Experiments page.")
    other = param.String(
        default="", doc="Product that the shown one is compared with; a good one by default."
    )
    other_run = param.String(default="", doc="Id of a second run to compare; empty for none.")
    sample = param.Selector(
        default=SAME_SAMPLE, objects=[SAME_SAMPLE, PAIRWISE], doc="On which days products are compared."
    )
    spread = param.Number(
        default=0.0, bounds=(0.0, 10.0), doc="End of the scale of differences; 0 for its own."
    )
    background = param.Selector(
        default=OUTLINE, objects=[OUTLINE, ONLINE], doc="What lies below the sites of the map."
    )
    factor = param.String(default="", doc="Factor whose effect is shown; the most important by default.")
    factor_moisture = param.String(default="", doc="Record whose mean divides dry sites from moist ones.")
    theme = param.Selector(default="light", objects=["light", "dark"], doc="Light or dark page.")

    run_shown = param.String(
        default="", doc="Id of the run behind `evaluation`; empty for the products alone."
    )
    evaluation = param.ClassSelector(
        class_=Evaluation, default=None, doc="Scores that were loaded; None before."
    )
    shown = param.ClassSelector(
        class_=Shown, default=None, doc="Sites that the filters leave; None before any are loaded."
    )
    site_shown = param.String(default="", doc="Site that the page shows: `site`, or a typical one.")
    working_on = param.String(default="", doc="What is being read, in words; empty when nothing is.")
    problem = param.String(
        default="", doc="Why nothing can be shown, and what to do; empty when all is well."
    )

    batched_updates: Callable[[], AbstractContextManager[None]] = staticmethod(nullcontext)
    """Surrounds every change and all that follows from it; a page sends what happens within as one message."""

    def __init__(self, **chosen: object) -> None:
        super().__init__(**chosen)
        self._chose_product = bool(self.product)
        self.param.watch(self._filter, list(FILTERS))

    def __setattr__(self, name: str, value: object) -> None:
        with self.batched_updates():
            super().__setattr__(name, value)

    def change(self, **values: object) -> None:
        """Change several parts in one step."""
        with self.batched_updates():
            self.param.update(**values)

    @property
    def dark(self) -> bool:
        """Whether the page is dark."""
        return bool(self.theme == "dark")

    @property
    def filters(self) -> Filters:
        """What is asked of the sites."""
        return self._filters({})

    def wanted(self, store: Store) -> tuple[str, str, str]:
        """Return the dataset, run and reference to show: what is selected where it exists, else the default.

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

    def show(self, evaluation: Evaluation) -> None:
        """Take what was loaded, and make the rest of the selection fit it, in one step."""
        products = evaluation.products
        product = self.product
        if product not in products or (
            evaluation.run and evaluation.run != self.run_shown and not self._chose_product
        ):
            product = next(iter(products), "")
        # Names that the dataset does not have would leave no site, for no reason that a visitor could see.
        fitting: dict[str, object] = {
            kind: [name for name in getattr(self, kind) if name in evaluation.names(kind)]
            for kind in ("region", "network", "land_cover", "climate")
        }
        records = [str(name) for name in evaluation.moisture]
        if self.moisture_of not in records:
            fitting["moisture_of"] = next(iter(records), v.SMAP)
        if self.grouping not in evaluation.groupings:
            fitting["grouping"] = v.REGION
        shown = shown_sites(evaluation, self._filters(fitting))
        known = self.site in evaluation.sites.index
        self.change(
            evaluation=evaluation,
            dataset=evaluation.dataset,
            run_shown=evaluation.run,
            reference=evaluation.reference,
            product=product,
            **fitting,
            shown=shown,
            site=self.site if known else "",
            site_shown=self.site if known else evaluation.typical_site(product, self.metric, shown.mask),
            working_on="",
            problem="",
        )

    def choose_product(self, product: str) -> None:
        """Select a product on purpose: a run that finishes later does not take its place."""
        self._chose_product = True
        self.product = product

    def choose_metric(self, metric: str) -> None:
        """Select a score, on its own scale."""
        if metric != self.metric:
            self.change(metric=metric, limits=None, spread=0.0)

    def choose_site(self, site: str) -> None:
        """Select a site."""
        if self.evaluation is not None and site in self.evaluation.sites.index:
            self.change(site=site, site_shown=site)

    def choose_group(self, group: str) -> None:
        """Let the sites of one row of the boxes stand out on the map; the same row again, no more."""
        self.group = "" if group == self.group else group

    def reset_filters(self) -> None:
        """Ask nothing of the sites, and of a score no more days than it needs."""
        self.change(
            **{
                name: self.param[name].default
                for name in (*FILTERS, "season", "min_days")
                if name != "moisture_of"
            }
        )

    def show_run(self, run_id: str, dataset: str) -> None:
        """Show a finished run on the Sites page, its own prediction on the map."""
        self._chose_product = False
        there = self.evaluation is not None and self.evaluation.run == run_id
        product = self.evaluation.own if there else ""
        self.change(page=SITES, dataset=dataset, run=run_id, reference="", product=product)

    def fail(self, problem: str) -> None:
        """Say why nothing can be shown."""
        self.change(problem=problem, working_on="", evaluation=None, shown=None)

    def _filters(self, instead: dict[str, object]) -> Filters:
        asked = {name: instead.get(name, getattr(self, name)) for name in FILTERS}
        return Filters(**{n: tuple(x) if isinstance(x, list) else x for n, x in asked.items()})  # type: ignore[arg-type]

    def _filter(self, *_: param.parameterized.Event) -> None:
        if self.evaluation is None:
            return
        shown = shown_sites(self.evaluation, self.filters)
        if not shown.same(self.shown):
            self.shown = shown
