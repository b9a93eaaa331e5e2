"""Access control: the dashboard serves this machine alone, or others with a password from a named origin."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.ui.workarounds.local_resources import login_templates
from gsm3core.errors import ConfigError

PASSWORD_VARIABLE = "GSM3_APP_PASSWORD"
MIN_PASSWORD_LENGTH = 10
_ORIGIN = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(\d{1,5}))?")
_USER = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Access:
    """Access rules of the server.

    Parameters
    ----------
    origins
        ``host:port`` of the pages that may open a websocket.
    passwords
        User -> password; empty without authentication.
    """

    origins: tuple[str, ...]
    passwords: dict[str, str]

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of :func:`panel.serve`."""
        options: dict[str, Any] = {"websocket_origin": list(self.origins)}
        if self.passwords:
            options |= {
                "basic_auth": self.passwords,
                "cookie_secret": secrets.token_hex(32),
                **login_templates(),
            }
        return options


def decide_access(
    host: str, port: int, *, origins: Sequence[str] = (), auth: str | Path | None = None
) -> Access:
    """Return the access rules of the server.

    Parameters
    ----------
    host, port
        Address that the server listens on.
    origins
        ``host`` or ``host:port`` that other machines' browsers show in the address bar.
    auth
        File of ``name:password`` lines. Without it, the environment variable ``GSM3_APP_PASSWORD``, if set, is the
        password of the user ``gsm3``.

    Raises
    ------
    ConfigError
        If other machines could connect without a password or without a named origin, or the password file is not valid.
    """
    passwords = _passwords(auth)
    allowed = tuple(_origin(o) for o in origins)
    is_public = not is_loopback(host) or any(not is_loopback(_host(o)) for o in allowed)
    if is_public and not passwords:
        raise ConfigError(
            f"No password: everyone who can reach {host}:{port} could start experiments and add data. Give a file of "
            f"name:password lines (--auth FILE), set {PASSWORD_VARIABLE}, or listen on 127.0.0.1."
        )
    if not is_loopback(host) and not allowed:
        raise ConfigError(
            f"Listening on {host} requires --allow-origin with the address that browsers show, for example "
            f"--allow-origin NAME:{port}. It prevents pages of other sites from using a logged-in session."
        )
    local = {f"{name}:{port}" for name in ("localhost", "127.0.0.1", *([host] if is_loopback(host) else []))}
    return Access(origins=(*sorted(local), *allowed), passwords=passwords)


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _origin(text: str) -> str:
    match = _ORIGIN.fullmatch(text.strip())
    if match is None or (match[2] and not 0 < int(match[2]) < 65536):
        raise ConfigError(
            f"Invalid --allow-origin {text!r}: expected host or host:port as the browser shows it, without http:// and *."
        )
    return text.strip()


def _host(origin: str) -> str:
    match = _ORIGIN.fullmatch(origin)
    return match[1] if match else origin


def _passwords(auth: str | Path | None) -> dict[str, str]:
    if auth is None:
        given = os.environ.get(PASSWORD_VARIABLE, "")
        return {"gsm3": _checked_password(given, PASSWORD_VARIABLE)} if given else {}
    path = Path(auth)
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Password file {path} cannot be read: {error}.") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"Password file {path} is readable by other users of this machine. Run: chmod 600 {path}"
        )
    passwords: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.partition(":")
        if not colon or not _USER.fullmatch(user):
            raise ConfigError(f"{path}, line {number}: expected name:password.")
        if user in passwords:
            raise ConfigError(f"{path}, line {number}: duplicate user {user!r}.")
        passwords[user] = _checked_password(password, f"{path}, line {number}")
    if not passwords:
        raise ConfigError(f"Password file {path} has no name:password line.")
    return passwords


def _checked_password(password: str, where: str) -> str:
    if len(password) < MIN_PASSWORD_LENGTH:
        raise ConfigError(
            f"{where}: the password is too short; it needs at least {MIN_PASSWORD_LENGTH} characters."
        )
    return password
