"""The words that may stand in a lock: each function returns its text, or raises `ValueError` fit for people.

Most of them become file names when inputs are laid out, so nothing that could leave a directory passes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, datetime

from pkgtool.inputs.lock import Content
from pkgtool.values import Digest

_DIGITS = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_TIME = re.compile(r"[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z\Z", re.ASCII)


Check = Callable[[str], str]
"""Gives its argument back, or raises `ValueError`."""


def _matching(pattern: str, what: str) -> Check:
    compiled = re.compile(pattern + r"\Z")

    def check(text: str) -> str:
        if not compiled.match(text):
            raise ValueError(f"{text!r} is not {what}")
        return text

    return check


package = _matching(r"[a-z0-9][a-z0-9._+-]*", "the name of a package")
"""Ours, or Debian's (Policy 5.6.1 allows the same letters)."""
version = _matching(r"(?:[0-9]+:)?[0-9A-Za-z][0-9A-Za-z.+~-]*", "a Debian version")
"""Policy 5.6.12."""
architecture = _matching(r"[a-z0-9][a-z0-9-]*", "a Debian architecture")
archive = _matching(r"[a-z][a-z-]*(?:@[0-9]{8}T[0-9]{6}Z)?", "an archive such as debian or debian@20260912T075541Z")
suite = _matching(r"[a-z0-9][a-z0-9.+-]*(?:/[a-z0-9][a-z0-9.+-]*)?", "a Debian suite")
component = _matching(r"[a-z0-9][a-z0-9-]*(?:/[a-z0-9-]+)?", "a component of an archive")
variant = _matching(r"[a-z-]*", "a variant of mmdebstrap")
file_name = _matching(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,200}", "a plain file name")
url = _matching(r"[a-z][a-z0-9+.-]*:[!-~]+", "a URL")
git_url = _matching(r"[A-Za-z0-9/.][!-~]*", "the URL or path of a git repository")
git_ref = _matching(r"[A-Za-z0-9][A-Za-z0-9._/+@-]*", "a git branch, tag or commit")
commit = _matching(r"(?:[0-9a-f]{40}|[0-9a-f]{64})", "a full commit id")
module_version = _matching(r"v[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*", "a Go module version such as v1.2.3")
_path = _matching(r"[A-Za-z0-9_.+~%@-]+(?:/[A-Za-z0-9_.+~%@-]+)*", "a relative path")
_module = _matching(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9._~!+-]*)*", "a Go module path")


def relative_path(text: str) -> str:
    """A path that stays below where it starts."""
    parts = text.split("/")
    if ".." in parts:
        raise ValueError(f"{text!r} leaves its directory")
    if "." in parts:
        raise ValueError(f"{text!r} is not the plain form of a path")
    return _path(text)


def optional_path(text: str) -> str:
    """A relative path, or nothing."""
    return relative_path(text) if text else ""


def optional_url(text: str) -> str:
    """A URL, or nothing."""
    return url(text) if text else ""


def pool_path(text: str) -> str:
    """The path of a .deb in its archive."""
    if not text.endswith(".deb"):
        raise ValueError(f"{text!r} is not the path of a .deb")
    return relative_path(text)


def module(text: str) -> str:
    """A Go module path (go.dev/ref/mod, "Module paths")."""
    return _module(text)


def sha256(text: str) -> Digest:
    """64 hexadecimal digits, without an algorithm before them."""
    return Digest("sha256", text)


def size(text: str) -> int:
    """A number of bytes."""
    if not _DIGITS.match(text):
        raise ValueError(f"{text!r} is not a number of bytes")
    return int(text)


def date(text: str) -> datetime:
    """A moment in UTC such as 2026-09-12T07:55:41Z."""
    if _TIME.match(text):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    raise ValueError(f"{text!r} is not a time such as 2026-09-12T07:55:41Z")


def format_date(moment: datetime) -> str:
    """The inverse of `date`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


NO_DIGEST = Digest("sha256", "0" * 64)
NO_CONTENT = Content(NO_DIGEST, 0)
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)
