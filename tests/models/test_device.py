"""Errors for invalid device names and weight files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gsm3core.errors import ConfigError, RunError
from gsm3core.models.device import resolve_device
from gsm3core.models.files import load_tensors


def test_device_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in (0, 2):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        monkeypatch.setattr(torch.cuda, "is_available", lambda count=count: count > 0)
        assert resolve_device("cpu") == torch.device("cpu")
        assert resolve_device("auto").type == ("cuda" if count else "cpu")
        with pytest.raises(ConfigError, match=rf"'cuda:2', but torch finds {count} CUDA device"):
            resolve_device("cuda:2")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


def test_tf32_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    resolve_device("cuda:0")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:", "cuda:x", "cuda:-1", ""])
def test_invalid_device_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is not known"):
        resolve_device(name)


@pytest.mark.parametrize("content", [b"", b"half", b"nothing of the kind", b"PK\x03\x04" + bytes(40)])
def test_an_invalid_tensor_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"model\.pt cannot be read: .* Start again\."):
        load_tensors(path, torch.device("cpu"), remedy="Start again.")


def test_a_truncated_tensor_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"w": torch.arange(1000.0)}, path)
    assert load_tensors(path, torch.device("cpu"), remedy="")["w"][7] == 7
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RunError, match="cannot be read"):
        load_tensors(path, torch.device("cpu"), remedy="")
