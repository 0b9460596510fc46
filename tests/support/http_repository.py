"""A bare-bones repository on a plain-HTTP registry, enough for tests of signatures with real clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from pkgtool.errors import RegistryError
from pkgtool.oci.documents import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor, Index, Manifest
from pkgtool.values import Digest

_ACCEPT = ", ".join((INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))


class HttpRepository:
    """Implements `pkgtool.oci.repository.Repository`."""

    def __init__(self, host: str, repository: str) -> None:
        self.name = f"{host}/{repository}"
        self._client = httpx2.Client(base_url=f"http://{host}/v2/{repository}/", trust_env=False)

    def _call(self, method: str, path: str, *expected: int, **options: Any) -> httpx2.Response:
        response = self._client.request(method, path, **options)
        if response.status_code not in expected:
            raise RegistryError(f"{method} {self.name} {path}: {response.status_code} {response.text[:500]}")
        return response

    def resolve(self, reference: str | Digest) -> Descriptor | None:
        got = self.get_manifest(reference)
        return got[0] if got else None

    def get_manifest(self, reference: str | Digest) -> tuple[Descriptor, bytes] | None:
        response = self._call("GET", f"manifests/{reference}", 200, 404, headers={"Accept": _ACCEPT})
        if response.status_code == 404:
            return None
        return Descriptor.of(response.content, response.headers["Content-Type"]), response.content

    def put_manifest(self, content: bytes, media_type: str, *, tag: str = "") -> Descriptor:
        descriptor = Descriptor.of(content, media_type)
        reference = tag or str(descriptor.digest)
        self._call("PUT", f"manifests/{reference}", 201, content=content, headers={"Content-Type": media_type})
        return descriptor

    def has_blob(self, digest: Digest) -> bool:
        return self._call("HEAD", f"blobs/{digest}", 200, 404).status_code == 200

    def read_blob(self, descriptor: Descriptor) -> bytes:
        return self._call("GET", f"blobs/{descriptor.digest}", 200).content

    def stream_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        yield self.read_blob(descriptor)

    def write_blob(self, content: bytes, media_type: str) -> Descriptor:
        descriptor = Descriptor.of(content, media_type)
        if not self.has_blob(descriptor.digest):
            place = self._call("POST", "blobs/uploads/", 202).headers["Location"]
            joint = "&" if "?" in place else "?"
            self._call("PUT", f"{place}{joint}digest={descriptor.digest}", 201, content=content)
        return descriptor

    def tags(self) -> list[str]:
        return sorted(self._call("GET", "tags/list", 200).json()["tags"] or [])

    def referrers(self, subject: Digest, *, artifact_type: str = "") -> list[Descriptor]:
        got = self.get_manifest(str(subject).replace(":", "-"))
        entries = Index.parse(got[1], what="referrers").manifests if got else ()
        return [entry for entry in entries if not artifact_type or entry.artifact_type == artifact_type]

    def attach(self, manifest: Manifest) -> Descriptor:
        assert manifest.subject
        pushed = self.put_manifest(manifest.encode(), manifest.media_type)
        entry = Descriptor(
            pushed.media_type,
            pushed.digest,
            pushed.size,
            artifact_type=manifest.artifact_type or manifest.config.media_type,
            annotations=manifest.annotations,
        )
        known = self.referrers(manifest.subject.digest)
        if entry.digest not in [each.digest for each in known]:
            index = Index((*known, entry))
            self.put_manifest(index.encode(), index.media_type, tag=str(manifest.subject.digest).replace(":", "-"))
        return pushed
