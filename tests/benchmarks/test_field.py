"""Verdicts of the field benchmark on planted outcomes, and some of its inputs run as a user would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from benchmarks import field, field_verdicts
from benchmarks.field_cases import folder_cases
from benchmarks.field_more import more_cases
from benchmarks.field_verdicts import Case, Outcome, close, counted, judge

MORE = {case.name: case for case in more_cases()}
TRACEBACK = "Traceback (most recent call last):\n  File ...\nValueError: no such dimension"


def rain(**rules: object) -> Case:
    """A case whose right outcome is 1, 2, 3 mm/d, or a refusal that names ERA5-Land."""
    fields = {
        "kind": "A", "name": "rain", "right": "1, 2, 3", "commands": (("data",),), "prepare": lambda work: None,
        "measure": close("precipitation", [1, 2, 3], 0.01), "cause": "ERA5-Land",
    }  # fmt: skip
    return Case(**fields | rules)


def outcome(folder: Path, text: str = "", *, code: int | None = 0, values: object = None) -> Outcome:
    if values is not None:
        ds = xr.Dataset(
            {"precipitation": (("site", "time"), np.atleast_2d(np.asarray(values, float)))},
            coords={"site": ["a"]},
            attrs={"history": '[{"step": "collocate", "notes": ["the cells have 0.1 degree"]}]'},
        )
        ds.to_zarr(folder / "out.zarr", consolidated=False, zarr_format=3)
    return Outcome(folder=folder, output=text, last=text, code=code)


def verdict(case: Case, found: Outcome) -> str:
    return judge(case, found)[0]


def test_right_value_is_right(tmp_path: Path) -> None:
    assert judge(rain(), outcome(tmp_path, values=[1, 2, 3])) == (field_verdicts.RIGHT, "1, 2, 3")


def test_wrong_value_without_message_is_the_worst(tmp_path: Path) -> None:
    assert verdict(rain(), outcome(tmp_path, values=[10, 20, 30])) == field_verdicts.WRONG
    assert field_verdicts.VERDICTS[-1] == field_verdicts.WRONG


def test_missing_value_is_no_right_value(tmp_path: Path) -> None:
    assert verdict(rain(), outcome(tmp_path, values=[1, np.nan, 3])) == field_verdicts.WRONG


def test_missing_value_may_be_right(tmp_path: Path) -> None:
    case = rain(measure=close("precipitation", [1, np.nan, 3], 0.01))
    assert verdict(case, outcome(tmp_path, values=[1, np.nan, 3])) == field_verdicts.RIGHT


def test_fewer_days_are_wrong(tmp_path: Path) -> None:
    assert verdict(rain(), outcome(tmp_path, values=[1, 2])) == field_verdicts.WRONG


def test_what_must_be_named_is_searched_in_output_and_history(tmp_path: Path) -> None:
    found = outcome(tmp_path, values=[1, 2, 3])
    assert verdict(rain(named=("ERA5-Land",)), found) == field_verdicts.UNNAMED
    assert verdict(rain(named=("0.1 degree",)), found) == field_verdicts.RIGHT
    assert verdict(rain(named=("ERA5-Land",)), replace(found, output="ERA5-Land")) == field_verdicts.RIGHT


def test_station_table_counts_only_for_notes(tmp_path: Path) -> None:
    found = outcome(tmp_path, values=[1, 2, 3])
    (tmp_path / "out.stations.csv").write_text("site,note\na,moved\n")
    assert verdict(rain(named=("moved",)), found) == field_verdicts.UNNAMED
    assert verdict(rain(noted=("moved",)), found) == field_verdicts.RIGHT


def test_reported_wrong_value_is_not_the_worst(tmp_path: Path) -> None:
    found = outcome(tmp_path, "Note: 1 file was not read.", values=[9, 9, 9])
    assert verdict(rain(warned="file was not read"), found) == field_verdicts.WRONG_REPORTED
    assert verdict(rain(named=("file was not read",)), found) == field_verdicts.WRONG_REPORTED
    assert verdict(rain(named=("ERA5-Land",)), found) == field_verdicts.WRONG


@pytest.mark.parametrize(
    ("message", "refusal", "right"),
    [
        ("Error: e.nc is ERA5-Land; expected ERA5.", True, field_verdicts.REFUSED),
        ("Error: e.nc is ERA5-Land; expected ERA5.", False, field_verdicts.READABLE),
        ("Error: precipitation lacks 3 of 3 days.", True, field_verdicts.MISLEADING),
        ("Reading ERA5-Land\nError: e.nc is damaged.", True, field_verdicts.MISLEADING),
        (TRACEBACK, True, field_verdicts.TRACEBACK),
    ],
)
def test_error_is_judged_by_its_cause(tmp_path: Path, message: str, refusal: bool, right: str) -> None:
    assert verdict(rain(refusal=refusal), outcome(tmp_path, message, code=1)) == right


def test_result_where_nothing_may_be_made_is_wrong(tmp_path: Path) -> None:
    assert verdict(rain(measure=None), outcome(tmp_path, values=[1, 2, 3])) == field_verdicts.WRONG


def test_command_without_its_result_is_wrong(tmp_path: Path) -> None:
    assert judge(rain(), outcome(tmp_path))[1].startswith("no such result")


def test_at_least_three_further_inputs_of_every_kind() -> None:
    counts = Counter(case.kind for case in MORE.values())
    assert len(MORE) == len(more_cases()) >= 24
    assert set(counts) == set(field_verdicts.KINDS)
    assert min(counts.values()) >= 3


def test_changes_lists_cases_and_counts() -> None:
    case = rain()
    rows = [field.Row(case=case, verdict=x, outcome="") for x in ("right", "WRONG, NOT REPORTED")]
    text = field.changes([rows[1], rows[0]], [rows[0], rows[0]])
    assert "WRONG, NOT REPORTED    -> right" in text
    assert text.splitlines()[-2].split() == ["right", "1", "2"]


def test_absent_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field.main([str(tmp_path / "absent"), "--only", "no case has this name"])
    assert "is absent" in capsys.readouterr().out


@pytest.mark.real_data
def test_folder_has_cases_of_every_kind(real_data: Path) -> None:
    if not (real_data / "field").is_dir():
        pytest.skip(f"inputs from the field are not at {real_data / 'field'}")
    cases = folder_cases(real_data / "field")
    assert {case.kind for case in cases} == set(field_verdicts.KINDS)


@pytest.fixture(scope="module")
def worker() -> Iterator[field.Worker]:
    with field.worker_of(field.ROOT) as started:
        yield started


@pytest.mark.parametrize(
    "name",
    ["score-noon-labels", "places-001-and-1"],
)
def test_case_is_right(worker: field.Worker, name: str) -> None:
    row = field.run_case(MORE[name], worker)
    assert row.verdict in field_verdicts.GOOD, row.outcome


def test_hang_is_ended_and_the_next_case_runs(worker: field.Worker) -> None:
    case = rain(commands=(("data", "list"),))
    assert field.run_case(case, worker, seconds=0.0).verdict == field_verdicts.HANG
    listed = replace(case, measure=lambda found: field_verdicts.Found(text="", right="ismn" in found.output))
    assert field.run_case(listed, worker).verdict == field_verdicts.RIGHT


def test_wrong_option_is_no_right_refusal(worker: field.Worker) -> None:
    row = field.run_case(rain(commands=(("data", "build", "--no-such-option"),)), worker)
    assert row.verdict == field_verdicts.MISLEADING


def test_count_names_what_it_counts(tmp_path: Path) -> None:
    measure = counted("sites", 2, lambda ds: ds.sizes["site"])
    assert measure(outcome(tmp_path, values=[1, 2, 3])).text == "1 sites"
