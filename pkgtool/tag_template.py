"""The template of a tag, as build.yml's `tag` has it: text and the one field `{{.Hash}}` (Go's text/template)."""

from __future__ import annotations

import re

from pkgtool.values import is_tag

DEFAULT = "{{.Hash}}"
HINT = "letters, digits, . _ - and the field {{.Hash}}"
# What a tag must have room for: the hash of a dirty tree, and an architecture.
_LONGEST_HASH = "0" * 40 + "-dirty-0000000"
_LONGEST_SUFFIX = "-mips64le"
_HASH_FIELD = re.compile(r"\{\{-?\s*\.Hash\s*-?\}\}")


def render(template: str, content_hash: str) -> str:
    """The tag that a template such as `v1-{{.Hash}}` gives for a hash."""
    return _HASH_FIELD.sub(lambda _: content_hash, template)


def gives_a_tag(template: str) -> bool:
    """Whether a template gives a tag for every hash and platform."""
    if template == DEFAULT:
        return True
    rendered = render(template, _LONGEST_HASH)
    return "{{" not in rendered and is_tag(rendered + _LONGEST_SUFFIX)
