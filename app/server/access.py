"""Who may see the dashboard: this machine alone, or others with a password from an address that is named."""

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

from gsm3core.errors import ConfigError
from gsm3core.resources import assets_folder

PASSWORD_VARIABLE = "GSM3_APP_PASSWORD"
SHORTEST = 10
_ORIGIN = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(\d{1,5}))?")
_USER = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Access:
    """How the dashboard is served.

    Parameters
    ----------
    origins
        ``host:port`` that a browser may show the dashboard under.
    passwords
        User -> password; empty where none is asked for.
    """

    origins: tuple[str, ...]
    passwords: dict[str, str]

    def options(self) -> dict[str, Any]:
        """Return what :func:`panel.serve` is told."""
        options: dict[str, Any] = {"websocket_origin": list(self.origins)}
        if self.passwords:
            # Panel's own pages of login and logout ask another server for their icon.
            options |= {
                "basic_auth": self.passwords,
                "cookie_secret": secrets.token_hex(32),
                "login_template": str(assets_folder() / "login.html"),
                "logout_template": str(assets_folder() / "logout.html"),
            }
        return options


def decide(host: str, port: int, *, origins: Sequence[str] = (), auth: str | Path | None = None) -> Access:
    """Decide how the dashboard may be served.

    Parameters
    ----------
    host, port
        Where it listens.
    origins
        ``host`` or ``host:port`` of the address bar of others.
    auth
        File of ``name:password`` lines. Without it, the password in the environment variable ``GSM3_APP_PASSWORD``, of
        the user ``gsm3``, if there is one.

    Raises
    ------
    ConfigError
        If others could reach it without a password, or without the address that they may come from being named; or if
        the file of passwords cannot be used.
    """
    passwords = _passwords(auth)
    named = tuple(_origin(o) for o in origins)
    open_to_others = not is_loopback(host) or any(not is_loopback(_host(o)) for o in named)
    if open_to_others and not passwords:
        raise ConfigError(
            f"The dashboard would be open to everyone who can reach {host}:{port}: they could start experiments and add data. "
            f"Give a file of name:password lines (--auth FILE) or set {PASSWORD_VARIABLE}; or listen on 127.0.0.1 alone."
        )
    if not is_loopback(host) and not named:
        raise ConfigError(
            f"Listening on {host} needs the address that browsers will show, else a page of another site could speak for its "
            f"visitors: --allow-origin NAME:{port}, for instance the name of this machine."
        )
    own = {f"{name}:{port}" for name in ("localhost", "127.0.0.1", *([host] if is_loopback(host) else []))}
    return Access(origins=(*sorted(own), *named), passwords=passwords)


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own alone."""
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
            f"--allow-origin {text!r} is no address: write host or host:port as the browser shows it, without http:// and *."
        )
    return text.strip()


def _host(origin: str) -> str:
    match = _ORIGIN.fullmatch(origin)
    return match[1] if match else origin


def _passwords(auth: str | Path | None) -> dict[str, str]:
    if auth is None:
        given = os.environ.get(PASSWORD_VARIABLE, "")
        return {"gsm3": _long_enough(given, PASSWORD_VARIABLE)} if given else {}
    path = Path(auth)
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file of passwords {path} cannot be read: {error}.") from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by other users of this machine: chmod 600 {path}")
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, password = line.partition(":")
        if not colon or not _USER.fullmatch(user):
            raise ConfigError(f"{path}, line {number}: expected name:password.")
        if user in found:
            raise ConfigError(f"{path}, line {number}: {user!r} is there twice.")
        found[user] = _long_enough(password, f"{path}, line {number}")
    if not found:
        raise ConfigError(f"{path} holds no name:password line.")
    return found


def _long_enough(password: str, where: str) -> str:
    if len(password) < SHORTEST:
        raise ConfigError(f"{where}: a password has at least {SHORTEST} characters.")
    return password
