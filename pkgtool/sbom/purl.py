"""Package URLs (github.com/package-url/purl-spec): names that scanners understand."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from pkgtool.values import Digest


def _encode(text: str) -> str:
    """Percent-encoding as the specification wants it: everything but unreserved characters and the colon."""
    return quote(text, safe=":")


def purl(kind: str, path: str, version: str = "", qualifiers: Mapping[str, str] | None = None) -> str:
    """`pkg:kind/path@version?qualifiers`; `path` may have slashes."""
    result = f"pkg:{kind}/" + "/".join(_encode(part) for part in path.split("/"))
    if version:
        result += f"@{_encode(version)}"
    chosen = "&".join(f"{name}={_encode(value)}" for name, value in sorted((qualifiers or {}).items()) if value)
    return f"{result}?{chosen}" if chosen else result


def debian(name: str, version: str, arch: str) -> str:
    """A binary package; `arch` is `source` for a source package."""
    return purl("deb", f"debian/{name}", version, {"arch": arch})


def golang(path: str, version: str) -> str:
    """A Go module; the specification wants its path in lower case."""
    return purl("golang", path.lower(), version)


def oci(name: str, digest: Digest, tag: str = "") -> str:
    """An image or index."""
    return purl("oci", name.rpartition("/")[2], str(digest), {"repository_url": name, "tag": tag})
