"""What a visitor has selected, and what was loaded for it; no widget, no plot, no file."""

from __future__ import annotations

import param

from app.evaluation import ALL_REGIONS, Evaluation
from app.filters import Shown, shown_sites
from app.store import Store
from gsm3core import vocabulary as v
from gsm3core.metrics import METRICS

SITES, EXPERIMENTS = "sites", "experiments"
PRODUCTS_ONLY = "none"
NEWEST = ""
FILTERS = ("region",)


class Selection(param.Parameterized):
    """One visitor's selection, and what follows from it.

    What is chosen (``page`` to ``theme``) is in the page's address. The rest follows from it: views watch ``shown``
    for which sites they show, never the single filters.
    """

    page = param.Selector(default=SITES, objects=[SITES, EXPERIMENTS], doc="Which page is shown.")
    dataset = param.String(default="", doc="Name of a dataset; the first there is by default.")
    run = param.String(
        default=NEWEST, doc="Id of a run; empty for the newest with scores; 'none' for no run."
    )
    reference = param.String(
        default="", doc="What the products are compared with; the first there is by default."
    )
    product = param.String(default="", doc="Product on the map; the run's own by default.")
    metric = param.Selector(default="R", objects=list(METRICS), doc="Score on the map.")
    region = param.String(default=ALL_REGIONS, doc="Region that is shown.")
    site = param.String(default="", doc="Site that is shown; a typical one by default.")
    experiment = param.String(default="", doc="Run that is followed on the Experiments page.")
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

    def __init__(self, **chosen: str) -> None:
        super().__init__(**chosen)
        self._chose_product = bool(self.product)
        self.param.watch(self._filter, list(FILTERS))

    @property
    def dark(self) -> bool:
        """Whether the page is dark."""
        return self.theme == "dark"

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
        region = self.region if self.region in evaluation.regions else ALL_REGIONS
        shown = shown_sites(evaluation, region)
        known = self.site in evaluation.sites.index
        self.param.update(
            evaluation=evaluation,
            dataset=evaluation.dataset,
            run_shown=evaluation.run,
            reference=evaluation.reference,
            product=product,
            region=region,
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

    def choose_site(self, site: str) -> None:
        """Select a site."""
        if self.evaluation is not None and site in self.evaluation.sites.index:
            self.param.update(site=site, site_shown=site)

    def show_run(self, run_id: str, dataset: str) -> None:
        """Show a finished run on the Sites page, its own prediction on the map."""
        self._chose_product = False
        self.param.update(page=SITES, dataset=dataset, run=run_id, reference="", product=v.MULTITASK_LSTM)

    def fail(self, problem: str) -> None:
        """Say why nothing can be shown."""
        self.param.update(problem=problem, working_on="", evaluation=None, shown=None)

    def _filter(self, *_: param.parameterized.Event) -> None:
        if self.evaluation is None:
            return
        shown = shown_sites(self.evaluation, self.region)
        if not shown.same(self.shown):
            self.shown = shown
