"""The template of a tag, as build.yml's `tag` has it: text and the one field `{{.Hash}}` (Go's text/template)."""

from __future__ import annotations

import re

DEFAULT = "{{.Hash}}"
_HASH_FIELD = re.compile(r"\{\{-?\s*\.Hash\s*-?\}\}")


def render(template: str, content_hash: str) -> str:
    """The tag that a template such as `v1-{{.Hash}}` gives for a hash."""
    return _HASH_FIELD.sub(lambda _: content_hash, template)
