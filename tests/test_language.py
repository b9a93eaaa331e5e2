"""Retired words appear in no name, docstring, comment, message, page or document."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RETIRED = {
    r"teach(?:er|ers|es|ing)?|taught|lessons?": "training target, training mask",
    r"by heart": "overfits",
    r"held[- ]back|hold(?:s|ing)? back": "validation sites",
    r"comparison models?": "baseline",
    r"wetness": "mean soil moisture",
    r"remembers?": "autocorrelation",
    r"every third day": "three-day revisit",
    r"limit on the gradient": "gradient clipping",
    r"dropped weights": "weight dropout",
    r"told|asked|heard|tells?": "reported, requested, received, emit",
    r"mend(?:s|ed|ing)?": "fix",
    r"take[- ]?aways?|taken (?:away|along)|takes? (?:away|along)": "export",
    r"drawn again": "resampled",
    r"how far": "progress",
    r"goe?s? along with": "is associated with",
    r"learns? from": "training targets",
    r"two teachers": "multitask LSTM",
    r"beside the paper": "comparison with the published Table 1",
    r"needs attention": "warnings",
    r"how good the products are": "product skill",
    r"which factors matter|rank the factors": "factor importance",
    r"where nothing was measured|never measured": "ungauged sites",
    r"where it may be asked": "area of applicability",
    r"with its like": "grouped permutation",
    r"without a word": "exited unexpectedly",
}
PATTERN = re.compile("|".join(f"(?P<w{k}>\\b(?:{p})\\b)" for k, p in enumerate(RETIRED)), re.IGNORECASE)
RETIRED_NAMES = re.compile(
    r"(?:^|_)(teachers?|taught|lessons?|wetness|heard|told|asked|tell|mend|mended|taken|learnt|badness|sight|manners)(?:_|$)",
    re.IGNORECASE,
)


def python_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield strings, comments and names split at underscores, with their lines."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            for k, line in enumerate(token.string.splitlines()):
                yield token.start[0] + k, line


def sources(*patterns: str) -> list[Path]:
    found = [p for pattern in patterns for p in ROOT.glob(pattern)]
    assert found
    return [p for p in found if "__pycache__" not in p.parts]


def retired_in(lines: Iterator[tuple[int, str]], path: Path) -> list[str]:
    found = []
    for number, text in lines:
        if match := PATTERN.search(text):
            better = list(RETIRED.values())[int(match.lastgroup[1:])] if match.lastgroup else ""
            found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]!r}; write: {better}")
    return found


def test_no_retired_word_in_code() -> None:
    found = [m for p in sources("gsm3core/**/*.py", "app/**/*.py") for m in retired_in(python_texts(p), p)]
    assert not found, "\n".join(found)


def test_no_retired_word_in_documents() -> None:
    paths = sources(
        "README.md", "CHANGELOG.md", "docs/*.md", "gsm3core/presets/*.toml", "data_catalog/**/*.yaml",
        "gsm3core/**/*.j2", "assets/*.html", "Makefile", "pyproject.toml",
    )  # fmt: skip
    found = [
        m for p in paths for m in retired_in(enumerate(p.read_text(encoding="utf-8").splitlines(), 1), p)
    ]
    assert not found, "\n".join(found)


def test_no_retired_name_in_code() -> None:
    found = set()
    for path in sources("gsm3core/**/*.py", "app/**/*.py"):
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
            if token.type == tokenize.NAME and RETIRED_NAMES.search(token.string):
                found.add(f"{path.relative_to(ROOT)}: {token.string}")
        if RETIRED_NAMES.search(path.stem):
            found.add(str(path.relative_to(ROOT)))
    assert not found, "\n".join(sorted(found))
