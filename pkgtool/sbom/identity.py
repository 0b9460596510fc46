"""Identifiers of documents that are unique and still the same every time."""

from __future__ import annotations

import uuid
from typing import Any

from pkgtool.oci import documents
from pkgtool.values import Digest


def unique_id(subject: Digest, document: dict[str, Any]) -> uuid.UUID:
    """A UUID (RFC 9562, version 5) from what a document is about and all that it says."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{subject} {Digest.of(documents.encode(document))}")
