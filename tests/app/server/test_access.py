"""Nobody else sees the dashboard without a password and a named address."""

from __future__ import annotations

import pytest

from app.server.access import PASSWORD_VARIABLE, decide, is_loopback
from gsm3core.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_password(monkeypatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


@pytest.fixture
def passwords(tmp_path):
    path = tmp_path / "passwords"
    path.write_text("# the group\nanna:correct horse battery\nben:with:a:colon\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.9.1", "::1"])
def test_this_machine_needs_no_password(host):
    access = decide(host, 5006)
    assert "basic_auth" not in access.options()
    assert {"localhost:5006", "127.0.0.1:5006"} <= set(access.options()["websocket_origin"])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])
def test_others_need_a_password_and_a_named_address(host, passwords):
    with pytest.raises(ConfigError, match="open to everyone"):
        decide(host, 5006)
    with pytest.raises(ConfigError, match="allow-origin"):
        decide(host, 5006, auth=passwords)
    access = decide(host, 5006, origins=["lab.example.org:5006"], auth=passwords)
    assert "lab.example.org:5006" in access.origins
    assert f"{host}:5006" not in access.origins
    assert access.options()["basic_auth"] == {"anna": "correct horse battery", "ben": "with:a:colon"}
    assert len(access.options()["cookie_secret"]) == 64


def test_behind_a_proxy_a_password_is_needed_too():
    with pytest.raises(ConfigError, match="open to everyone"):
        decide("127.0.0.1", 5006, origins=["lab.example.org"])


def test_a_password_from_the_environment(monkeypatch):
    monkeypatch.setenv(PASSWORD_VARIABLE, "long enough for this")
    assert decide("0.0.0.0", 5006, origins=["a.org"]).passwords == {"gsm3": "long enough for this"}
    monkeypatch.setenv(PASSWORD_VARIABLE, "short")
    with pytest.raises(ConfigError, match="at least 10"):
        decide("127.0.0.1", 5006)


@pytest.mark.parametrize("origin", ["*", "http://a.org", "a.org/path", "", "a.org:99999", "a b", "*.a.org"])
def test_an_address_that_is_none(origin, passwords):
    with pytest.raises(ConfigError, match="is no address"):
        decide("0.0.0.0", 5006, origins=[origin], auth=passwords)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("anna:short\n", "at least 10"),
        ("anna\n", "line 1: expected name:password"),
        ("anna:correct horse\nanna:battery staple\n", "there twice"),
        ("# nobody\n", "holds no"),
    ],
)
def test_a_file_of_passwords_that_is_not_in_order(tmp_path, text, said):
    path = tmp_path / "passwords"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=said):
        decide("127.0.0.1", 5006, auth=path)


def test_a_file_of_passwords_that_others_can_read(passwords):
    passwords.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        decide("127.0.0.1", 5006, auth=passwords)
    with pytest.raises(ConfigError, match="cannot be read"):
        decide("127.0.0.1", 5006, auth=passwords.with_name("gone"))


def test_loopback_addresses():
    assert is_loopback("[::1]")
    assert not is_loopback("localhost.example.org")
