"""``gsm3 score``: scores of two files, of every product of a dataset, or of a run and its products."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from gsm3core import vocabulary as v
from gsm3core.cli.common import (
    MasksOption,
    ScalingOption,
    comma_list,
    console,
    open_run,
    parse_range,
    print_conditions,
    print_path,
    score_table,
)
from gsm3core.cli.score_by_period import at_depth, score_by_period
from gsm3core.errors import ConfigError

_MOST_SUSPECTS = 10
_METRICS_IN_TABLE = 5
_ALL = "all"


def score_command(
    predicted: Annotated[
        str,
        typer.Argument(
            help="A dataset (.zarr, .nc), whose products are scored on all days; or the id or path of a run, scored on its test "
            "days; or, with OBSERVED, a netCDF file or Zarr store with one soil-moisture variable (site, time)."
        ),
    ],
    observed: Annotated[
        Path | None,
        typer.Argument(
            help="Observations: netCDF file or Zarr store with one soil-moisture variable (site, time)."
        ),
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            help="Scores to compute, separated by commas, or 'all'. TC_R and TC_error: triple collocation, of a dataset or a run."
        ),
    ] = "R,RMSE,ubRMSE,bias",
    reference: Annotated[
        str | None, typer.Option(help="Reference of a dataset or a run: sm_insitu or sm_smap.")
    ] = None,
    season: Annotated[
        str | None, typer.Option(help="Only days of this local season: winter, spring, summer or autumn.")
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            help="Scores of each year or season: year (with the trend of yearly scores) or season (July is winter in the south)."
        ),
    ] = "",
    scaling: ScalingOption = "none",
    mask: MasksOption = "",
    depth: Annotated[
        str, typer.Option(help="Only sites whose sensor is at a depth in this range in m, as LOW:HIGH.")
    ] = "",
    third: Annotated[
        str,
        typer.Option(
            help="Third product of triple collocation; by default one for each product, with errors independent of it."
        ),
    ] = "",
    without_suspect: Annotated[
        bool, typer.Option("--without-suspect", help="Leave out sites with a suspect in-situ record.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the scores to this file (.nc).")] = None,
    min_days: Annotated[int, typer.Option(help="Minimum number of paired days for a score.")] = 30,
    runs_folder: Annotated[Path, typer.Option("--runs", help="Folder of all runs.")] = Path("runs"),
) -> None:
    """Score a dataset's products, a run, or two files against each other at every site; print the medians over sites."""
    from gsm3core.evaluation.training_scores import append_training_scores
    from gsm3core.files import atomic_write
    from gsm3core.metrics import ALL_METRICS, PAIRED_METRICS, TRIPLE_METRICS

    if by:
        given = {
            "OBSERVED": observed, "--season": season, "--third": third, "--without-suspect": without_suspect
        }  # fmt: skip
        if refused := [name for name, value in given.items() if value]:
            raise ConfigError(f"--by cannot be combined with {refused[0]}. Leave out one of them.")
        names = list(PAIRED_METRICS) if metrics == _ALL else comma_list(metrics)
        path, folder = Path(predicted), runs_folder
        score_by_period(
            path if _is_dataset(path) else open_run(predicted, folder), by, metrics=names, reference=reference,
            min_days=min_days, scaling=scaling, masks=comma_list(mask), depth=parse_range("--depth", depth), out=out,
        )  # fmt: skip
        return
    of_series = observed is not None
    known = PAIRED_METRICS if of_series else ALL_METRICS
    names = list(known) if metrics == _ALL else [name.strip() for name in metrics.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"--metrics is empty. Give names such as {', '.join(known)}, or all.")
    if third and not any(name in TRIPLE_METRICS for name in names):
        raise ConfigError("--third needs a metric of triple collocation: add TC_R or TC_error to --metrics.")
    if observed is not None:
        of_dataset = {
            "--reference": reference, "--season": season, "--third": third, "--mask": mask, "--depth": depth
        }  # fmt: skip
        if unusable := [name for name, value in of_dataset.items() if value]:
            raise ConfigError(f"{unusable[0]} needs a dataset or a run. Leave out OBSERVED, or the option.")
        scores, against = _score_files(Path(predicted), observed, names, min_days, scaling), observed.name
        suspect = training = None
    else:
        scores, training, dataset = _score_dataset_or_run(
            predicted,
            runs_folder,
            reference=reference,
            season=season,
            metrics=names,
            min_days=min_days,
            third=third,
            scaling=scaling,
            masks=comma_list(mask),
            depth=parse_range("--depth", depth),
        )
        against = str(scores.attrs.get("reference", reference or v.SM_INSITU))
        suspect = _suspect(scores, dataset)
    if without_suspect:
        if suspect is None:
            raise ConfigError("--without-suspect needs a dataset or a run, scored against in situ with R.")
        scores = scores.isel({v.SITE: (suspect == "").values})
    _print_triplets(scores)
    scores = append_training_scores(scores, training)
    # More metrics in one table would be cut at 80 columns.
    for start in range(0, len(names), _METRICS_IN_TABLE):
        console.print(score_table(scores, against, names[start : start + _METRICS_IN_TABLE]))
    print_conditions(scores, against)
    for note in filter(None, str(scores.attrs.get("notes", "")).split("\n")):
        console.print(f"Note: {escape(note)}.", highlight=False, soft_wrap=True)
    if suspect is not None:
        _print_suspects(suspect, left_out=without_suspect)
    if out:
        atomic_write(scores if suspect is None else scores.assign(suspect=suspect), out)
        print_path("Written to", out)


def _score_files(predicted: Path, observed: Path, metrics: list[str], min_days: int, scaling: Any) -> Any:
    from gsm3core.evaluation.site_scores import site_scores
    from gsm3core.readers.series_file import open_series

    first, second = open_series(predicted), open_series(observed)
    notes = [
        f"{p.name}: {n}" for p, s in ((predicted, first), (observed, second)) for n in s.attrs.pop("notes")
    ]
    scores = site_scores(first, second, metrics=metrics, min_days=min_days, scaling=scaling)
    if notes:
        scores.attrs["notes"] = "\n".join(filter(None, [*notes, scores.attrs.get("notes", "")]))
    return scores if v.PRODUCT in scores.dims else scores.expand_dims({v.PRODUCT: [predicted.name]})


def _score_dataset_or_run(
    name: str, runs_folder: Path, depth: tuple[float, float] | None, **options: Any
) -> tuple[Any, Any, Any]:
    """Return the scores of every product, those of a run on its training days, and the dataset, at a sensor depth."""
    from gsm3core.evaluation.scoring import dataset_of, score_products, score_run
    from gsm3core.evaluation.training_scores import score_training
    from gsm3core.schema import open_dataset

    path = Path(name)
    if _is_dataset(path):
        dataset = open_dataset(path)
        dataset = at_depth(dataset, depth)
        scores = score_products(dataset, **options | {"reference": options["reference"] or v.SM_INSITU})
        return scores, None, dataset
    run = open_run(name, runs_folder)
    dataset = dataset_of(run)
    dataset = at_depth(dataset, depth)
    of_training = {name: value for name, value in options.items() if name != "third"}
    training = score_training(run, dataset=dataset, **of_training)
    return score_run(run, dataset=dataset, **options), training, dataset


def _is_dataset(path: Path) -> bool:
    return path.suffix in (".nc", ".nc4", ".zarr") or (path.is_dir() and not (path / "config.toml").exists())


def _suspect(scores: Any, dataset: Any) -> Any:
    from gsm3core.evaluation.suspect_records import suspect_sites

    return suspect_sites(scores, dataset) if "R_upper" in scores else None


def _print_triplets(scores: Any) -> None:
    """Print the third product of each triplet, or why there is none."""
    if "TC_third" not in scores:
        return
    console.print("\n[bold]Triple collocation with the reference and a third product[/]")
    for product in scores[v.PRODUCT].values:
        one = scores.sel({v.PRODUCT: product})
        third = str(one["TC_third"].values[0]) if one.sizes[v.SITE] else ""
        why = str(one["TC_reason"].values[0]) if one.sizes[v.SITE] and not third else ""
        count = int(one["TC_R"].notnull().sum())
        text = f"{third}, {count} of {one.sizes[v.SITE]} sites" if third else f"none: {why}"
        console.print(f"{escape(str(product))}: {escape(text)}", highlight=False, soft_wrap=True)


def _print_suspects(suspect: Any, *, left_out: bool) -> None:
    flagged = suspect.where(suspect != "", drop=True)
    if not flagged.size:
        return
    included = "left out of the medians" if left_out else "included; --without-suspect leaves them out"
    console.print(f"\n[bold]Suspect in-situ records: {flagged.size} of {suspect.size} sites[/] ({included})")
    for site, why in list(zip(flagged[v.SITE].values, flagged.values, strict=True))[:_MOST_SUSPECTS]:
        console.print(f"{escape(str(site))}: {escape(str(why))}", highlight=False, soft_wrap=True)
    if flagged.size > _MOST_SUSPECTS:
        console.print(f"and {flagged.size - _MOST_SUSPECTS} more; --out writes them all")
