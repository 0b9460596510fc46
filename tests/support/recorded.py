"""Whether a provenance statement names everything that a fingerprint's record holds, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PLACES = {
    "image-format": ("internalParameters", "imageFormat"),
    "name": ("externalParameters", "name"),
    "sources": ("resolvedDependencies",),
    "build-args": ("externalParameters", "arguments"),
    "dependencies": ("resolvedDependencies",),
    "settings": ("externalParameters", "settings"),
}
"""Where the parts of a record stand in a build definition. A part that is none of these is not in the provenance."""


def missing(record: Mapping[str, Any], statement: Mapping[str, Any]) -> list[str]:
    """The names and values of the record that the provenance does not have where they belong.

    An empty text is none: the destination of a package's own directory.
    """
    definition = statement["predicate"]["buildDefinition"]
    found = []
    for part, value in record.items():
        place: Any = definition
        for name in PLACES[part]:
            place = place[name]
        known = set(_texts(place))
        known |= {text.rpartition(":")[0] for text in known}  # the repository of a reference
        wanted = _texts(value, keys=part in ("build-args", "settings"))
        if part == "dependencies":  # one in another repository than its name says is named with it
            wanted = (piece for text in wanted for piece in text.split(":"))
        found += [f"{part}: {text}" for text in wanted if text and text not in known]
    return found


def _texts(value: Any, *, keys: bool = True) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if keys:
                yield key
            yield from _texts(each, keys=keys)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each, keys=keys)
    else:
        yield str(value)
