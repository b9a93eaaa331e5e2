"""``gsm3 data build`` from several sources: options to a recipe, progress, and the record of what went in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gsm3core.cli.common import console, describe_dataset, name_column
from gsm3core.errors import ConfigError

PLACES = ("table", "grid")


def recipe_from(
    name: str,
    *,
    source: Path | None,
    in_situ: str,
    box: str,
    days: str,
    inputs: dict[str, list[str]],
    places: list[str],
    methods: list[str],
    allow_gaps: bool,
    sensors: dict[str, Any],
) -> Any:
    """Return the recipe that a command asks for: a YAML file's, or one made of the options.

    Raises
    ------
    ConfigError
        If the options contradict each other.
    """
    from pydantic import ValidationError

    from gsm3core.assembly.recipe import Recipe, explained, load_recipe
    from gsm3core.catalog import selections
    from gsm3core.download.accounts import parse_box, parse_period

    if name.endswith((".yaml", ".yml")):
        given = {
            "--in-situ": in_situ,
            "--box": box,
            "--from": source,
            "--source": places,
            **{f"--{k.replace('_', '-')}": x is not None for k, x in sensors.items()},
            **{f"--{k}": x for k, x in inputs.items()},
            "--method": methods,
        }
        if said := [k for k, x in given.items() if x]:
            raise ConfigError(f"{name} is a recipe: say {', '.join(said)} there, or give no recipe.")
        recipe = load_recipe(Path(name))
        update: dict[str, Any] = {"period": parse_period("", days)} if days else {}
        return recipe.model_copy(update=update | ({"gaps": "allow"} if allow_gaps else {}))
    kind, path = name, source
    if in_situ:
        kind, _, text = in_situ.partition("=")
        path = Path(text) if text else source
    elif name not in (*PLACES, "ismn", "uscrn-daily"):
        if name not in selections():
            raise ConfigError(
                f"{name!r} takes no further sources; they can be given to ismn, uscrn-daily, table, grid and the selections "
                f"{', '.join(selections())}."
            )
        raise ConfigError(
            f"{name!r} is a selection of inputs; say for which sites: --in-situ ismn=ARCHIVE.zip."
        )
    settings: dict[str, dict[str, Any]] = {}
    for option, key, texts in (("--source", "path", places), ("--method", "method", methods)):
        for text in texts:
            which, found, value = text.partition("=")
            if not found or not value:
                example = "bilinear" if key == "method" else "FOLDER"
                raise ConfigError(f"{option} is {text!r}; expected such as {option} era5={example}.")
            settings.setdefault(which, {})[key] = value
    sites = {
        "kind": kind,
        "path": path,
        "box": parse_box(box),
        **{k: x for k, x in sensors.items() if x is not None},
    }
    selection = "" if name in (kind, *PLACES) else name
    told = {
        "sites": sites, "period": parse_period("", days) if days else None, "selection": selection,
        "forcings": inputs["forcing"], "attributes": inputs["attribute"], "products": inputs["product"],
        "sources": settings, "gaps": "allow" if allow_gaps else "refuse",
    }  # fmt: skip
    try:
        return Recipe.model_validate(told)
    except ValidationError as error:
        raise ConfigError(f"the options make no dataset:\n{explained(error)}") from error


def run_recipe(recipe: Any, out: Path, *, work: Path | None, root: Path | None, overwrite: bool) -> None:
    """Carry a recipe out with a progress bar, and show what was made."""
    from gsm3core.assembly.assemble import assemble
    from gsm3core.schema import open_dataset

    with _listening() as listen:
        made = assemble(recipe, out, work=work, root=root, overwrite=overwrite, listen=listen)
    ds = open_dataset(made.dataset)
    console.print(describe_dataset(ds))
    show_history(ds)
    if made.taken_over:
        console.print(f"{made.taken_over} of {made.pieces} pieces were here from before and taken over.")
    console.print(
        f"Sites: [bold]{escape(str(made.stations))}[/]. Files read: [bold]{escape(str(made.files))}[/]."
    )
    console.print(f"Written to [bold]{escape(str(made.dataset))}[/].")


def show_history(ds: Any) -> None:
    """Print a dataset's provenance: each step, and what became of each variable."""
    for step in json.loads(ds.attrs.get("history", "[]")):
        variables = step.pop("variables", {}) if step.get("step") == "collocate" else {}
        heading = " ".join(filter(None, [step.pop("step", ""), step.pop("source", step.pop("entry", ""))]))
        table = Table(
            title=escape(heading), title_justify="left", show_header=False, box=None, pad_edge=False
        )
        for key, value in step.items():
            if value not in ("", [], {}, None):
                told = (
                    json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
                )
                table.add_row(f"  [bold]{escape(key.replace('_', ' '))}", escape(told))
        console.print(table)
        if variables:
            console.print(_variables(variables))


def _variables(variables: dict[str, dict[str, Any]]) -> Table:
    table = Table(
        name_column("variable"),
        name_column("of"),
        "present",
        "missing",
        "too few steps",
        "days lacking",
        "screened from the whole grids",
    )
    for name, c in variables.items():
        removed = {k: x for k, x in c.get("screening", {}).items() if k not in ("read", "kept") and x}
        missing = f"{c['missing']:,}" if "missing" in c else ""
        table.add_row(
            name, f"{c['of']} ({c['statistic']})", f"{c['present']:,}", missing, f"{c.get('short_of_steps', 0):,}",
            escape(" ".join(filter(None, [str(c.get("days_lacking", 0) or ""), c.get("lacking", "")]))),
            escape(", ".join(f"{k} {json.dumps(x) if isinstance(x, dict) else f'{x:,}'}" for k, x in removed.items())),
        )  # fmt: skip
    return table


@contextmanager
def _listening() -> Iterator[Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def listen(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of or None)
            bar.update(tasks[what], completed=done, total=of or None)

        yield listen
