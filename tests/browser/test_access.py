"""Login: nothing is shown without a password, and the login page loads nothing from other servers."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect


@pytest.fixture
def url(serve, finished_run, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("anna:correct horse battery\n")
    passwords.chmod(0o600)
    return serve(finished_run.folder.parent, ["-m", "app.server.serve", "--auth", str(passwords)])[0]


def log_in(page, password):
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_dashboard_requires_the_password(clean_page, url):
    page = clean_page
    page.goto(url)
    expect(page).to_have_url(re.compile("/login"))
    expect(page.get_by_role("heading", name="GSM3")).to_be_visible()
    log_in(page, "guessed wrongly")
    expect(page.get_by_role("alert")).to_contain_text("invalid")
    log_in(page, "correct horse battery")
    expect(page.get_by_role("button", name="Experiments", exact=True)).to_be_visible()


def test_websocket_requires_login(url):
    request = urllib.request.Request(
        f"{url}ws",
        headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x" * 22 + "==",
            "Origin": url.rstrip("/"),
        },
    )  # fmt: skip
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403
