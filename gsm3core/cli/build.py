"""``gsm3 data build`` from several sources: options to a recipe, progress, and provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from gsm3core.cli.common import (
    console,
    describe_dataset,
    key_value_table,
    make_table,
    name_column,
    number_column,
    parse_urls,
    print_notes,
    print_path,
)
from gsm3core.cli.sources import INSITU
from gsm3core.errors import ConfigError

SITE_TABLES = ("table", "grid")
STATIONS = "stations"  # the sites of --in-situ, without a selection of inputs


def recipe_from(
    name: str,
    *,
    source: list[Path],
    in_situ: list[str],
    box: str,
    days: str,
    inputs: dict[str, list[str]],
    folders: list[str],
    methods: list[str],
    allow_gaps: bool,
    sensors: dict[str, Any],
    resolution: float | None = None,
    urls: list[str] | None = None,
) -> Any:
    """Return the recipe from a YAML file, or from the options of the command.

    Raises
    ------
    ConfigError
        If the options contradict each other.
    """
    from pydantic import ValidationError

    from gsm3core.assembly.recipe import Recipe, format_errors, load_recipe
    from gsm3core.catalog import selections
    from gsm3core.download.accounts import parse_box, parse_period

    if name.endswith((".yaml", ".yml")):
        given = {
            "--in-situ": in_situ,
            "--box": box,
            "--from": source,
            "--source": folders,
            "--url": urls,
            **{f"--{k.replace('_', '-')}": x is not None for k, x in sensors.items()},
            **{f"--{k}": x for k, x in inputs.items()},
            "--method": methods,
            "--resolution": resolution,
        }
        if used := [k for k, x in given.items() if x]:
            raise ConfigError(
                f"{name} is a recipe: set {', '.join(used)} in the file, not on the command line."
            )
        recipe = load_recipe(Path(name))
        update: dict[str, Any] = {"period": parse_period("", days)} if days else {}
        return recipe.model_copy(update=update | ({"gaps": "allow"} if allow_gaps else {}))
    sites = _site_specs(in_situ, source, sensors)
    if sites and name in SITE_TABLES:
        raise ConfigError(
            f"{name!r} and --in-situ both give sites; expected {STATIONS!r} or a selection with --in-situ."
        )
    if not sites and name not in (*SITE_TABLES, *INSITU):
        if name == STATIONS:
            raise ConfigError(
                f"{STATIONS!r} needs --in-situ KIND=PATH, with KIND one of {', '.join(INSITU)}."
            )
        if name not in selections():
            raise ConfigError(
                f"{name!r} cannot be combined with other sources; expected {', '.join((*INSITU, *SITE_TABLES))}, {STATIONS} "
                f"or a selection ({', '.join(selections())})."
            )
        raise ConfigError(
            f"{name!r} is a selection of inputs: give the sites, such as --in-situ ismn=ARCHIVE.zip."
        )
    settings: dict[str, dict[str, Any]] = {}
    for option, key, texts in (("--source", "path", folders), ("--method", "method", methods)):
        for text in texts:
            which, _, value = text.partition("=")
            if not value:
                example = "bilinear" if key == "method" else "FOLDER"
                raise ConfigError(f"invalid {option} {text!r}; expected such as {option} era5={example}.")
            known = settings.setdefault(which, {})
            if key == "path":
                known[key] = (*known.get(key, ()), Path(value).expanduser())
            elif known.setdefault(key, value) != value:
                raise ConfigError(
                    f"{option} of {which} is given as {known[key]!r} and {value!r}; expected one of them."
                )
    for which, url in parse_urls(urls or []).items():
        settings.setdefault(which, {})["url"] = url
    given_sensors = {k: x for k, x in sensors.items() if x is not None}
    sites = sites or [{"kind": name, "path": _path(source), "box": parse_box(box), **given_sensors}]
    selection = "" if name in (STATIONS, *INSITU, *SITE_TABLES) else name
    options = {
        "sites": sites, "period": parse_period("", days) if days else None, "selection": selection,
        "forcings": inputs["forcing"], "attributes": inputs["attribute"], "products": inputs["product"],
        "sources": settings, "resolution": resolution, "gaps": "allow" if allow_gaps else "refuse",
    }  # fmt: skip
    try:
        return Recipe.model_validate(options)
    except ValidationError as error:
        raise ConfigError(f"invalid options:\n{format_errors(error)}") from error


def _path(paths: list[Path]) -> Any:
    """Return nothing, one path or several, as a recipe has them."""
    return None if not paths else paths[0] if len(paths) == 1 else paths


def _site_specs(in_situ: list[str], source: list[Path], sensors: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sites of ``--in-situ KIND=PATH``, all of one kind as one source, with the options that it accepts."""
    paths: dict[str, list[Path]] = {}
    for text in in_situ:
        kind, _, path = text.partition("=")
        if kind not in INSITU or not (path or source):
            raise ConfigError(
                f"invalid --in-situ {text!r}; expected KIND=PATH with KIND one of {', '.join(INSITU)}."
            )
        paths.setdefault(kind, []).extend([Path(path)] if path else source)
    accepted = {"ismn": tuple(sensors), **dict.fromkeys(("scan", "snotel"), ("min_hours", "combine"))}
    return [
        {
            "kind": kind,
            "path": _path(found),
            **{k: sensors[k] for k in accepted.get(kind, ()) if sensors[k] is not None},
        }
        for kind, found in paths.items()
    ]


def run_recipe(
    recipe: Any, out: Path, *, work: Path | None, root: Path | None, overwrite: bool, offline: bool = False
) -> None:
    """Build a dataset from a recipe with a progress bar, and print its contents."""
    from gsm3core.assembly.assemble import assemble
    from gsm3core.schema import open_dataset

    if not offline:
        show_terms(recipe)
    with progress_bar() as progress:
        made = assemble(
            recipe, out, work=work, root=root, overwrite=overwrite, offline=offline, progress=progress
        )
    ds = open_dataset(made.dataset)
    console.print(describe_dataset(ds))
    show_history(ds)
    show_losses(ds)
    for name, got in made.downloads.items():
        if got.requests or got.kept:
            console.print(
                f"{name}: {got.requests} requests ({got.bytes / 1e6:.1f} MB, {got.retries} of them retries), "
                f"{len(got.kept)} files were there."
            )
    if made.reused:
        console.print(f"{made.reused} of {made.pieces} pieces reused from an earlier build.")
    print_path("Sites:", made.stations)
    print_path("Files read:", made.inputs)
    print_path("Written to", made.dataset)


def show_losses(ds: Any) -> None:
    """Print what a build left out or assumed: notes of readers, missing days, values removed, sites without values."""
    from gsm3core.assembly.losses import losses_of

    print_notes(losses_of(json.loads(ds.attrs.get("history", "[]"))))


def show_terms(recipe: Any) -> None:
    """Print license and terms of the services that a build requests values from."""
    from gsm3core.catalog import source_entry

    for name in dict.fromkeys(x.source for x in recipe.variables()):
        entry = source_entry(name)
        if entry.grid.kind == "points":
            notes = " ".join(a.note for a in entry.access if a.kind == "service")
            console.print(escape(f"{name}: {entry.license}. {notes}".strip()), highlight=False)


def show_history(ds: Any) -> None:
    """Print a dataset's provenance: each step, and the counts of each variable."""
    for step in json.loads(ds.attrs.get("history", "[]")):
        variables = step.pop("variables", {}) if step.get("step") == "collocate" else {}
        heading = " ".join(filter(None, [step.pop("step", ""), step.pop("source", step.pop("entry", ""))]))
        table = key_value_table(
            {
                key: json.dumps(value, ensure_ascii=False)
                if value and isinstance(value, (dict, list))
                else value
                for key, value in step.items()
            }
        )
        console.print(f"\n[bold]{escape(heading)}[/]", highlight=False)
        console.print(Padding(table, (0, 0, 0, 2)))
        if variables:
            console.print(_variables(variables))


def _variables(variables: dict[str, dict[str, Any]]) -> Table:
    """Return the table of counts: values per variable, and those missing or removed by screening."""
    rows = []
    for name, c in variables.items():
        removed = {k: x for k, x in c.get("screening", {}).items() if k not in ("read", "kept") and x}
        missing = f"{c['missing']:,}" if "missing" in c else ""
        rows.append((
            name, f"{c['of']} ({c['statistic']})", f"{c['present']:,}", missing, f"{c.get('short_of_steps', 0):,}",
            escape(" ".join(filter(None, [str(c.get("days_lacking", 0) or ""), c.get("lacking", "")]))),
            escape(", ".join(f"{k} {json.dumps(x) if isinstance(x, dict) else f'{x:,}'}" for k, x in removed.items())),
        ))  # fmt: skip
    columns: tuple[str | Column, ...] = (
        name_column("variable"), name_column("from"), *map(number_column, ("valid", "missing", "incomplete")),
        "missing days", "screened out",
    )  # fmt: skip
    used = [k for k in range(len(columns)) if any(row[k] for row in rows)]
    table = make_table(*(columns[k] for k in used))
    for row in rows:
        table.add_row(*(row[k] for k in used))
    return table


@contextmanager
def progress_bar() -> Iterator[Any]:
    """Show the stages of a build; yields the callback that reports stage, finished and total items."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def show_progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of or None)
            bar.update(tasks[what], completed=done, total=of or None)

        yield show_progress
