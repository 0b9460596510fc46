"""The machine's certificate authorities, lent to build steps that have the network.

Before some networks stands a proxy that looks into HTTPS with an authority of its own: the machine trusts it, a
package's base image does not. Steps with the network get the machine's list as a mount, from an image that holds
nothing else, so that it is neither in the context nor in the result.
"""

from __future__ import annotations

import io
import os
import ssl
import tarfile
from pathlib import Path

from pkgtool.engines.interface import Parent
from pkgtool.oci.canonical.config import ImageSpec
from pkgtool.oci.canonical.image import canonicalise
from pkgtool.oci.canonical.product import RootfsConfig, from_rootfs
from pkgtool.oci.store.layout import Layout
from pkgtool.values import Digest, ImageRef, Platform

_NAME = "authorities.crt"
_TARGET = f"/.pkgtool-{_NAME}"  # in a directory that every image has, so that none is left behind
_VARIABLES = """
    SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE PIP_CERT GIT_SSL_CAINFO CARGO_HTTP_CAINFO NODE_EXTRA_CA_CERTS
"""
VARIABLES = dict.fromkeys(_VARIABLES.split(), _TARGET)
"""By which variables programs learn where the list is (the first one: OpenSSL, Go)."""


def bundle() -> Path | None:
    """The machine's list of authorities, as OpenSSL finds it (SSL_CERT_FILE counts); None if there is none."""
    named = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    candidates = [Path(named)] if named else []
    candidates.append(Path("/etc/ssl/certs/ca-certificates.crt"))
    return next((path for path in candidates if path.is_file()), None)


def image(layout: Layout, scratch: Path, platform: Platform, *, epoch: int) -> Parent | None:
    """An image that holds the list and nothing else, in the store; None if this machine has no list."""
    found = bundle()
    if found is None:
        return None
    content = found.read_bytes()
    archive = scratch / "authorities.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(_NAME)
        member.size, member.mode = len(content), 0o644
        tar.addfile(member, io.BytesIO(content))
    spec = ImageSpec(platform, epoch, "authorities")
    made = canonicalise(layout, from_rootfs(archive, RootfsConfig()), spec)
    tag = f"{Digest.of(content).hex[:16]}-{platform.arch}"
    return Parent(ImageRef("pkgtool/authorities", tag, host="localhost"), made.manifest)


def mount(lender: Parent) -> str:
    """The flag that mounts the list into a RUN step."""
    return f"--mount=type=bind,from={lender.reference},source=/{_NAME},target={_TARGET}"
