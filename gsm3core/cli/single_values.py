"""Commands whose options are given once: a repeated value is an error instead of being dropped."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand

from gsm3core.errors import ConfigError


class SingleValueCommand(TyperCommand):
    """A command that refuses a repeated option unless the option is a list.

    Notes
    -----
    The parser keeps the last value of a repeated option and drops the others
    (https://click.palletsprojects.com/en/stable/options/).
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments of the command.

        Raises
        ------
        ConfigError
            If an option with one value is given several times.
        """
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param, count in Counter(p for p in order if _has_one_value(p)).items():
            if count > 1:
                raise ConfigError(f"{max(param.opts, key=len)} is given {count} times; expected once.")
        return super().parse_args(ctx, args)


def refuse_repeated_options(app: typer.Typer) -> None:
    """Make all commands of an application, and of its groups, refuse repeated options."""
    for command in app.registered_commands:
        command.cls = SingleValueCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            refuse_repeated_options(group.typer_instance)


def _has_one_value(param: Any) -> bool:
    return (
        getattr(param, "param_type_name", "") == "option"
        and not getattr(param, "multiple", False)
        and not getattr(param, "is_flag", False)
        and not getattr(param, "count", False)
    )
