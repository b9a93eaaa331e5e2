"""Access control: other machines need a password and a named origin."""

from __future__ import annotations

import pytest

from app.server.access import PASSWORD_VARIABLE, decide_access, is_loopback
from gsm3core.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_password_variable(monkeypatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


@pytest.fixture
def passwords(tmp_path):
    path = tmp_path / "passwords"
    path.write_text("# the group\nanna:correct horse battery\nben:with:a:colon\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.9.1", "::1"])
def test_loopback_needs_no_password(host):
    access = decide_access(host, 5006)
    assert "basic_auth" not in access.options()
    assert {"localhost:5006", "127.0.0.1:5006"} <= set(access.options()["websocket_origin"])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])
def test_public_host_needs_password_and_origin(host, passwords):
    with pytest.raises(ConfigError, match="No password"):
        decide_access(host, 5006)
    with pytest.raises(ConfigError, match="allow-origin"):
        decide_access(host, 5006, auth=passwords)
    access = decide_access(host, 5006, origins=["lab.example.org:5006"], auth=passwords)
    assert "lab.example.org:5006" in access.origins
    assert f"{host}:5006" not in access.origins
    assert access.options()["basic_auth"] == {"anna": "correct horse battery", "ben": "with:a:colon"}
    assert len(access.options()["cookie_secret"]) == 64


def test_proxy_origin_needs_a_password():
    with pytest.raises(ConfigError, match="No password"):
        decide_access("127.0.0.1", 5006, origins=["lab.example.org"])


def test_password_from_environment(monkeypatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "long enough for this")
    assert decide_access("0.0.0.0", 5006, origins=["a.org"]).passwords == {"gsm3": "long enough for this"}
    monkeypatch.setenv(PASSWORD_VARIABLE, "short")
    with pytest.raises(ConfigError, match="at least 10"):
        decide_access("127.0.0.1", 5006)


@pytest.mark.parametrize("origin", ["*", "http://a.org", "a.org/path", "", "a.org:99999", "a b", "*.a.org"])
def test_invalid_origins_are_rejected(origin, passwords):
    with pytest.raises(ConfigError, match="Invalid --allow-origin"):
        decide_access("0.0.0.0", 5006, origins=[origin], auth=passwords)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anna:short\n", "at least 10"),
        ("anna\n", "line 1: expected name:password"),
        ("anna:correct horse\nanna:battery staple\n", "duplicate user"),
        ("# nobody\n", "has no name:password line"),
    ],
)
def test_invalid_password_files_are_rejected(tmp_path, text, message):
    path = tmp_path / "passwords"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=message):
        decide_access("127.0.0.1", 5006, auth=path)


def test_readable_or_missing_password_file_is_rejected(passwords):
    passwords.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        decide_access("127.0.0.1", 5006, auth=passwords)
    with pytest.raises(ConfigError, match="cannot be read"):
        decide_access("127.0.0.1", 5006, auth=passwords.with_name("gone"))


def test_loopback_addresses():
    assert is_loopback("[::1]")
    assert not is_loopback("localhost.example.org")
