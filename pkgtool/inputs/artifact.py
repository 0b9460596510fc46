"""What every kind of input is reduced to: some bytes with a known hash, and the places that may have them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pkgtool.inputs.lock import Content
from pkgtool.values import Digest

_SECRET_PARAMETER = re.compile(
    r"((?:^|&)[^=&]*(?:token|key|secret|password|sig|signature|credential)[^=&]*=)[^&]*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """Content to be fetched. `name` is what `pkgtool lock --update` takes, `label` what people are shown.

    `package` is whose lock names it. `urls` are tried in order; their schemes are those of `pkgtool.inputs.transfer`.
    """

    package: str
    name: str
    label: str
    content: Content
    urls: tuple[str, ...]

    @property
    def digest(self) -> Digest:
        return self.content.digest

    @property
    def size(self) -> int:
        return self.content.size


def shown_url(url: str) -> str:
    """A URL as it may appear in messages: without user, password and the values of secret parameters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if parts.netloc:
        host = parts.netloc.rpartition("@")[2]
        url = url.replace(f"//{parts.netloc}", f"//{host}", 1)
    if parts.query:
        url = url.replace(f"?{parts.query}", "?" + _SECRET_PARAMETER.sub(r"\1…", parts.query), 1)
    return url
