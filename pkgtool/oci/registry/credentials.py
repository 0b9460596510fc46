"""Credentials of a registry, from Docker's config.json and its credential helpers.

The docker SDK reads the file; helpers are started here, through the one place that starts programs, so that they
have a time limit and end with us. The SDK takes a third of a second to import: it is loaded only when a registry
asks for credentials and the file could have some.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkgtool import process
from pkgtool.cancel import Cancellation
from pkgtool.errors import ConfigError, PkgtoolError, RegistryError
from pkgtool.oci.registry.address import DOCKER_HUB

_HELPER_SECONDS = 60.0
_HUB_KEY = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105  # what a helper answers as user name when the secret is an identity token


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name with a password, or an identity token (OAuth2 refresh token). Its repr shows neither secret."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token)


def config_path(directory: Path | None) -> Path:
    """Docker's config.json: in `directory`, else where DOCKER_CONFIG says, else below the home directory."""
    return (directory or Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")) / "config.json"


def find(host: str, *, directory: Path | None = None, cancel: Cancellation | None = None) -> Credential | None:
    """The credential for `host`, or None.

    Raises `ConfigError` for an unreadable config.json, `RegistryError` if a credential helper fails.
    """
    path = config_path(directory)
    document = _read(path)
    if not any(document.get(key) for key in ("auths", "credsStore", "credHelpers")):
        return None
    from docker.auth import AuthConfig
    from docker.errors import DockerException

    failed = False
    entry: dict[str, Any] = {}
    try:
        config = AuthConfig.load_config(str(path), document)
        helper = config.get_credential_store(host)
        if not helper:
            entry = config.resolve_authconfig(host) or {}
    except (DockerException, ValueError, KeyError, TypeError, AttributeError):
        failed = True
    if failed:  # raised out here, so that no exception with what was read hangs below it
        raise ConfigError(f"{path} holds credentials that can't be read", hint=f"renew them: docker login {host}")
    if helper:
        found = _ask(helper, host, cancel)
        # Docker writes an entry into the file beside the helper when a store was set up after a login.
        return found or _of_entry(config.auths.get(host) or {})
    return _of_entry(entry)


def _of_entry(entry: dict[str, Any]) -> Credential | None:
    credential = Credential(
        str(entry.get("username") or ""), str(entry.get("password") or ""), str(entry.get("IdentityToken") or "")
    )
    return credential or None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as problem:
        raise ConfigError(f"{path} can't be read: {problem.strerror}") from problem
    except ValueError as problem:
        line = getattr(problem, "lineno", 0)
        document = None
        place = f" (line {line})" if line else ""
    else:
        place = ""
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is not valid JSON{place}", hint="correct it, or remove it and log in again")
    return document


def _ask(helper: str, host: str, cancel: Cancellation | None) -> Credential | None:
    """Ask a helper (docker-credential-helpers' protocol: host on standard input, JSON on standard output)."""
    program = f"docker-credential-{helper}"
    key = _HUB_KEY if host == DOCKER_HUB else host
    # Helpers need their own variables (AWS_PROFILE, DBUS_SESSION_BUS_ADDRESS, …): they get the whole environment.
    failure: PkgtoolError | None = None
    try:
        completed = process.run(
            [program, "get"],
            why=f"read the credentials of {host}",
            stdin=key.encode(),
            env=dict(os.environ),
            accept=range(256),
            timeout=_HELPER_SECONDS,
            cancel=cancel,
        )
    except process.ProcessFailed:
        failure = RegistryError(f"{program} did not answer within {_HELPER_SECONDS:g} s", hint=f"docker login {host}")
    if failure:
        raise failure
    if completed.returncode != 0:
        if b"credentials not found" in completed.output or b"credentials not found" in completed.errors:
            return None
        raise RegistryError(
            f"{program} could not give the credentials of {host} (exit status {completed.returncode})",
            hint=f"log in again: docker login {host}",
        )
    return _of_answer(completed.output, program, host)


def _of_answer(output: bytes, program: str, host: str) -> Credential | None:
    try:
        answer = json.loads(output)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        answer = None
    if answer is None:
        raise RegistryError(f"{program} answered something else than JSON", hint=f"log in again: docker login {host}")
    return Credential(identity_token=secret) if user == _TOKEN_USER else Credential(user, secret)
