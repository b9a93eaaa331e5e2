"""A whole configuration, read from TOML, with errors that name the key and the nearest known one."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gsm3core import resources
from gsm3core import vocabulary as v
from gsm3core.config.sections import (
    DataConfig,
    HoldoutConfig,
    ModelConfig,
    Period,
    ScoreConfig,
    Section,
    TrainingConfig,
)
from gsm3core.errors import ConfigError, did_you_mean


class ExperimentConfig(Section):
    """One experiment: data, holdout, model, training, scores.

    Raises
    ------
    ConfigError
        From :meth:`load` and :meth:`from_mapping`: an unknown key (with the nearest known one) or a bad value.
    """

    title: str = ""
    data: DataConfig = DataConfig()
    holdout: HoldoutConfig = HoldoutConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    scores: ScoreConfig = ScoreConfig()

    @classmethod
    def from_mapping(cls, values: dict[str, Any], *, source: str = "configuration") -> ExperimentConfig:
        """Check a nested mapping, as TOML gives it.

        Parameters
        ----------
        values
            Sections and their keys.
        source
            What the error calls it: the file's path.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(
                f"{source}:\n" + "\n".join(f"  - {_explain(e)}" for e in error.errors())
            ) from None

    @classmethod
    def load(cls, name_or_path: str | Path) -> ExperimentConfig:
        """Read a preset by its name, or a TOML file by its path.

        Parameters
        ----------
        name_or_path
            ``gsm3``, ``quick``, ``paper``, ``smap-temporal``, or a file.
        """
        presets = resources.presets()
        path = presets.get(str(name_or_path), Path(name_or_path))
        if not path.is_file():
            raise ConfigError(
                f"{name_or_path} is neither a configuration file nor a preset. {did_you_mean(str(name_or_path), presets)}"
            )
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid TOML: {error}.") from error
        return cls.from_mapping(values, source=str(path))

    def replace(self, section: str, **changes: Any) -> ExperimentConfig:
        """Return a copy with keys of one section changed, checked again.

        Parameters
        ----------
        section
            ``data``, ``holdout``, ``model``, ``training`` or ``scores``.
        **changes
            New values; a key whose value is ``None`` is left as it is.
        """
        values = self.model_dump()
        values[section] |= {k: value for k, value in changes.items() if value is not None}
        return type(self).from_mapping(values)

    def to_toml(self) -> str:
        """Return the configuration as TOML that :meth:`load` reads back equal."""
        top, sections = [], []
        for key, value in self.model_dump(exclude_none=True).items():
            if isinstance(value, dict):
                sections.append(f"\n[{key}]\n" + "".join(f"{k} = {_toml(x)}\n" for k, x in value.items()))
            else:
                top.append(f"{key} = {_toml(value)}\n")
        return "".join(top + sections)


def _explain(error: Any) -> str:
    # A key that takes a number or a word has a message for each; which of them it is says the message.
    keys = [str(p) for p in error["loc"] if p != "constrained-int" and not str(p).startswith("literal[")]
    where = ".".join(keys) or "configuration"
    if error["type"] == "extra_forbidden":
        section: Any = ExperimentConfig
        for part in error["loc"][:-1]:
            field = section.model_fields[part].annotation
            section = field if isinstance(field, type) else Period
        return f"{where} is not a key. {did_you_mean(str(error['loc'][-1]), section.model_fields)}"
    if error["loc"] == ("holdout", "name"):
        return f"holdout {error['input']!r} is not known. {did_you_mean(str(error['input']), v.HOLDOUTS)}"
    # What is wrong between the keys of a section names their values itself.
    given = "" if isinstance(error["input"], dict) else f" (given: {error['input']!r})"
    return f"{where}: {error['msg'].removeprefix('Value error, ')}{given}"


def _toml(value: Any) -> str:
    import json

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(x)}" for k, x in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dt.date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
