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
    print_path,
)
from gsm3core.errors import ConfigError

SITE_TABLES = ("table", "grid")


def recipe_from(
    name: str,
    *,
    source: Path | None,
    in_situ: str,
    box: str,
    days: str,
    inputs: dict[str, list[str]],
    folders: list[str],
    methods: list[str],
    allow_gaps: bool,
    sensors: dict[str, Any],
    resolution: float | None = None,
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
    kind, path = name, source
    if in_situ:
        kind, _, text = in_situ.partition("=")
        path = Path(text) if text else source
    elif name not in (*SITE_TABLES, "ismn", "uscrn-daily"):
        if name not in selections():
            raise ConfigError(
                f"{name!r} cannot be combined with other sources; expected ismn, uscrn-daily, table, grid or a selection "
                f"({', '.join(selections())})."
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
            settings.setdefault(which, {})[key] = value
    sites = {
        "kind": kind,
        "path": path,
        "box": parse_box(box),
        **{k: x for k, x in sensors.items() if x is not None},
    }
    selection = "" if name in (kind, *SITE_TABLES) else name
    options = {
        "sites": sites, "period": parse_period("", days) if days else None, "selection": selection,
        "forcings": inputs["forcing"], "attributes": inputs["attribute"], "products": inputs["product"],
        "sources": settings, "resolution": resolution, "gaps": "allow" if allow_gaps else "refuse",
    }  # fmt: skip
    try:
        return Recipe.model_validate(options)
    except ValidationError as error:
        raise ConfigError(f"invalid options:\n{format_errors(error)}") from error


def run_recipe(recipe: Any, out: Path, *, work: Path | None, root: Path | None, overwrite: bool) -> None:
    """Build a dataset from a recipe with a progress bar, and print its contents."""
    from gsm3core.assembly.assemble import assemble
    from gsm3core.schema import open_dataset

    with _progress_bar() as progress:
        made = assemble(recipe, out, work=work, root=root, overwrite=overwrite, progress=progress)
    ds = open_dataset(made.dataset)
    console.print(describe_dataset(ds))
    show_history(ds)
    if made.reused:
        console.print(f"{made.reused} of {made.pieces} pieces reused from an earlier build.")
    print_path("Sites:", made.stations)
    print_path("Files read:", made.inputs)
    print_path("Written to", made.dataset)


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
def _progress_bar() -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def show_progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of or None)
            bar.update(tasks[what], completed=done, total=of or None)

        yield show_progress
