"""Experiment configuration from TOML, with errors that name the key and the nearest known one."""

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
    """Configuration of an experiment: data, holdout, model, training, scores.

    Raises
    ------
    ConfigError
        From :meth:`load` and :meth:`from_mapping`: an unknown key (with the nearest known one) or an invalid value.
    """

    title: str = ""
    data: DataConfig = DataConfig()
    holdout: HoldoutConfig = HoldoutConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    scores: ScoreConfig = ScoreConfig()

    @classmethod
    def from_mapping(cls, values: dict[str, Any], *, source: str = "configuration") -> ExperimentConfig:
        """Validate a nested mapping, such as parsed TOML.

        Parameters
        ----------
        values
            Sections and their keys.
        source
            Name of the mapping in error messages, such as the file's path.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(
                f"{source}:\n" + "\n".join(f"  - {_explain(e)}" for e in error.errors())
            ) from None

    @classmethod
    def load(cls, name_or_path: str | Path) -> ExperimentConfig:
        """Read a preset by name (:func:`gsm3core.resources.presets`) or a TOML file by path.

        Notes
        -----
        ``extends = "NAME"`` at the top of a file takes all keys that it does not set from a preset.
        """
        return cls.from_mapping(_read(name_or_path, ()), source=str(_locate(name_or_path)))

    @classmethod
    def load_stored(cls, path: Path) -> ExperimentConfig:
        """Read the complete configuration of a run; keys that did not exist yet have the value that gives its results."""
        values = _read(path, ())
        for section, defaults in _BEFORE.items():
            values[section] = defaults | values.get(section, {})
        return cls.from_mapping(values, source=str(path))

    def replace(self, section: str, **changes: Any) -> ExperimentConfig:
        """Return a validated copy with some keys of one section changed.

        Parameters
        ----------
        section
            ``data``, ``holdout``, ``model``, ``training`` or ``scores``.
        **changes
            New values; ``None`` leaves a key unchanged.
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


# Keys that the configuration of an earlier run lacks, and what that version did.
_BEFORE: dict[str, dict[str, Any]] = {
    "holdout": {"buffer_km": 0.0, "outside": "train", "group_km": 0.0},
    "training": {"spin_up_days": "warmup"},
}


def _locate(name_or_path: str | Path) -> Path:
    return resources.presets().get(str(name_or_path), Path(name_or_path))


def _read(name_or_path: str | Path, extending: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of a preset or file, with those of the preset that it extends."""
    path = _locate(name_or_path)
    if not path.is_file():
        raise ConfigError(
            f"{name_or_path} is neither a configuration file nor a preset. "
            + did_you_mean(str(name_or_path), resources.presets())
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    base = values.pop("extends", None)
    if base is None:
        return values
    if base not in resources.presets() or base in extending:
        known = [name for name in resources.presets() if name not in extending]
        raise ConfigError(f"{path}: extends = {base!r} is not a preset. {did_you_mean(str(base), known)}")
    merged = _read(base, (*extending, base))
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merged[key] | value if both else value
    return merged


def _explain(error: Any) -> str:
    # A key that takes a number or a word has one error for each.
    keys = [str(p) for p in error["loc"] if p != "constrained-int" and not str(p).startswith("literal[")]
    where = ".".join(keys) or "configuration"
    if error["type"] == "extra_forbidden":
        section: Any = ExperimentConfig
        for part in error["loc"][:-1]:
            field = section.model_fields[part].annotation
            section = field if isinstance(field, type) else Period
        return f"{where} is an unknown key. {did_you_mean(str(error['loc'][-1]), section.model_fields)}"
    if error["loc"] == ("holdout", "name"):
        return f"holdout {error['input']!r} is not known. {did_you_mean(str(error['input']), v.HOLDOUTS)}"
    # Messages about several keys of a section contain their values already.
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
