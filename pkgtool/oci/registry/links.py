"""Pages of a list: the `Link` header with `rel="next"` (RFC 8288)."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from pkgtool.oci.registry.transport import Reply

_LINK = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')


def next_page(reply: Reply) -> str:
    """The path and query of the next page, or an empty string. It is always taken from the same registry."""
    match = _LINK.search(reply.headers.get("link", ""))
    if not match:
        return ""
    parts = urlsplit(urljoin(reply.url, match.group(1)))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
