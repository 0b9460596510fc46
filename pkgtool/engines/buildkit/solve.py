"""The request that is a Dockerfile build (SolveRequest in control.proto; options of the `dockerfile.v0` frontend)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pkgtool.engines.buildkit.services import CONTEXT_URL
from pkgtool.engines.buildkit.wire import message
from pkgtool.engines.interface import BuildRequest, Parent
from pkgtool.values import ImageRef

_STORE = "pkgtool"
_EXPORTER = "oci"
_EXPORT = {
    "tar": "false",  # the result comes blob by blob, so that what we have is not sent
    "compression": "gzip",
    "compression-level": "1",
}
_TAG_LENGTH = 128


@dataclass(frozen=True, slots=True)
class RegistryCache:
    """Repositories that keep a worker's cache: read from, written to; hosts that speak plain HTTP."""

    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    insecure: frozenset[str] = frozenset()


NO_CACHE = RegistryCache()


def solve_request(build: BuildRequest, reference: str, session: str, cache: RegistryCache) -> bytes:
    """The request. `reference` names the build to the worker, `session` is where it calls back."""
    exporter = message((1, _EXPORTER), (2, _EXPORT))
    return message(
        (1, reference),
        (5, session),
        (6, "dockerfile.v0"),
        (7, {**_attributes(build, session), **_cache_sources(build, cache)}),
        (8, _cache(build, cache)),
        (13, [exporter]),
    )


def _attributes(build: BuildRequest, session: str) -> dict[str, str]:
    attributes = {
        "context": CONTEXT_URL + session,
        "filename": build.dockerfile,
        "platform": str(build.platform),
        **{f"build-arg:{name}": value for name, value in build.build_args.items()},
        **{f"context:{_familiar(p.reference)}": _place(p) for p in build.parents},
    }
    if build.tools:
        # What BuildKit would put there is the worker's own platform, and the tools may be for another one.
        attributes.setdefault("build-arg:BUILDPLATFORM", str(build.tools))
    if not build.network:
        attributes["force-network-mode"] = "none"
    if not build.use_cache:
        attributes["no-cache"] = ""
    return attributes


def _place(parent: Parent) -> str:
    return f"oci-layout://{_STORE}@{parent.manifest.digest}"


def _familiar(reference: ImageRef) -> str:
    """A reference as BuildKit writes it when it looks for a context of that name (Docker's "familiar" form)."""
    name = reference.name
    for prefix in ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/"):
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            break
    tag = f":{reference.tag}" if reference.tag and reference.tag != "latest" else ""
    return f"{name}{tag}" + (f"@{reference.digest}" if reference.digest else "")


def _cache_sources(build: BuildRequest, cache: RegistryCache) -> dict[str, str]:
    """Where the frontend looks for a cache: it takes no notice of the request's own list, which the solver reads."""
    if not build.use_cache or not cache.sources:
        return {}
    entries = [{"Type": "registry", "Attrs": _location(build, each, cache.insecure)} for each in cache.sources]
    return {"cache-imports": json.dumps(entries)}


def _cache(build: BuildRequest, cache: RegistryCache) -> bytes:
    if not build.use_cache:
        return b""
    return message(
        (4, [_entry(a) for a in _exports(build, cache)]),
        (5, [_entry(_location(build, repository, cache.insecure)) for repository in cache.sources]),
    )


def _exports(build: BuildRequest, cache: RegistryCache) -> Iterator[Mapping[str, str]]:
    for repository in cache.targets:
        # A cache that can't be written must not fail a build: it is only a cache.
        yield {**_location(build, repository, cache.insecure), "mode": "max", "ignore-error": "true"}


def _location(build: BuildRequest, repository: str, insecure: frozenset[str]) -> dict[str, str]:
    """A package and platform have a tag of their own, the same for all versions: the last one helps the next."""
    tag = re.sub(r"[^A-Za-z0-9_.-]+", "-", build.title)[-_TAG_LENGTH:].lstrip("-.")
    location = {"ref": f"{repository}:{tag}"}
    if repository.partition("/")[0] in insecure:
        location["registry.insecure"] = "true"
    return location


def _entry(attributes: Mapping[str, str]) -> bytes:
    return message((1, "registry"), (2, attributes))
