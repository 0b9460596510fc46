"""The next release of a series: found, checked, and written into its file.

Debian's source packages come from the signed archive, so their sha256 is already vouched for. A kernel.org release is
checked against upstream's signature, and the signer's fingerprint against the one in the series file.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

from pkgtool.cancel import Cancellation
from pkgtool.errors import InputError, KernelError
from pkgtool.inputs.debian.apt import Apt
from pkgtool.inputs.debian.places import sources
from pkgtool.kernel.series import DebianSource, Release, Series
from pkgtool.model import TreeSettings
from pkgtool.oci.files import hash_file
from pkgtool.values import Digest

_SNAPSHOT_DELAY = timedelta(days=1)
"""A snapshot is taken some hours after the archive changed."""
RELEASES_URL = "https://www.kernel.org/releases.json"


def next_debian(
    series: Series, settings: TreeSettings, scratch: Path, now: datetime, cancel: Cancellation | None = None
) -> Release | None:
    """The newest source package of a series that comes from Debian, or None if it is pinned already.

    `scratch` is an empty directory. The snapshot archive becomes a mirror: the next version removes this one from
    Debian's own. Raises `InputError` if the archive can't be used.
    """
    current = series.release()
    if current.debian is None:
        raise KernelError(f"series {series.name} does not come from Debian", location=series.location)
    base, package = current.debian.suite.removesuffix("-security"), current.debian.package
    suites = {"debian": base, "debian-security": f"{base}-security"}
    places = {place.archive: place for place in sources(settings, tuple(suites.items()))}
    apt = Apt(scratch, tuple(places.values()), ("main",), ("amd64",), cancel=cancel)
    apt.update()
    found = next((c for c in apt.install("amd64", "", [package]) if c.name == package), None)
    if found is None:
        raise InputError(f"the archive has no {package} in {base}")
    if found.version == current.debian.version:
        return None
    security = found.archive == "debian-security"
    snapshot = settings.debian_security_snapshot if security else settings.debian_snapshot
    return Release(
        version=upstream_version(found.version),
        url=f"{places[found.archive].url}/{found.path}",
        mirrors=(f"{snapshot}/{now + _SNAPSHOT_DELAY:%Y%m%dT000000Z}/{found.path}",) if snapshot else (),
        sha256=Digest.parse(str(found.content.digest)),
        patches=current.patches,
        debian=DebianSource(suites[found.archive], package, found.version),
    )


def upstream_version(debian_version: str) -> str:
    """`6.1.192` of `6.1.192-2` (deb-version(7): the revision follows the last hyphen)."""
    return debian_version.partition(":")[2].rpartition("-")[0] or debian_version.rpartition("-")[0] or debian_version


def next_version(releases: str, series: Series) -> str:
    """The newest release of a series in kernel.org's releases.json, or empty if it is pinned already.

    Raises `KernelError` for a series that the list does not have (any more).
    """
    try:
        versions = [str(entry["version"]) for entry in json.loads(releases)["releases"]]
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(f"{RELEASES_URL} gave something else than a list of releases") from problem
    found = next((v for v in versions if v == series.name or v.startswith(f"{series.name}.")), None)
    if found is None:
        raise KernelError(
            f"kernel.org lists no release of {series.name} any more (end of life {series.end_of_life})",
            location=series.location,
            hint="its last release stays pinned; pin another by hand under `releases`",
        )
    return "" if found in series.releases else found


def checked_release(
    series: Series, version: str, file: Path, signature: Path, keyring: Path, *, scratch: Path
) -> Release:
    """A downloaded kernel.org tarball as a release to pin, once its signature and the signer are right.

    Raises `InputError` for a bad signature, `KernelError` for a good one by somebody else.
    """
    from pkgtool.inputs import signature as signatures

    if series.signature is None:
        raise KernelError(f"series {series.name} names no signers", location=series.location)
    compression = file.suffix if series.signature.over_tar else ""
    signer = signatures.verify(file.name, file, signature, keyring, compression=compression, scratch=scratch)
    if signer not in series.signature.signers:
        raise KernelError(
            f"{file.name} is signed by {signer}, who does not sign series {series.name}",
            location=series.location,
            hint=f"expected: {', '.join(series.signature.signers)}",
        )
    current = series.release()
    url = current.url.replace(current.version, version)
    return Release(version=version, url=url, sha256=hash_file(file), patches=current.patches)


def with_release(text: str, release: Release) -> str:
    """A series file with `release` pinned and chosen. Everything else, comments too, stays as it is."""
    chosen, count = re.subn(r"(?m)^version: .*$", f"version: {release.version}", text, count=1)
    without = re.sub(rf"(?m)^  {re.escape(release.version)}:\n(?:(?:    .*)?\n)*?(?=^\S|^  \S|^$)", "", chosen)
    pinned, found = re.subn(r"(?m)^releases:\n", lambda match: match[0] + _entry(release), without, count=1)
    if not (count and found):
        raise KernelError("the series file has no `version` or `releases` at the beginning of a line")
    return pinned


def _entry(release: Release) -> str:
    lines = [f"  {release.version}:", f"    url: {release.url}"]
    if release.mirrors:
        lines.append(f"    mirrors: [{', '.join(release.mirrors)}]")
    if release.sha256:
        lines.append(f"    sha256: {release.sha256.hex}")
    if release.debian:
        d = release.debian
        lines.append(f"    debian: {{suite: {d.suite}, package: {d.package}, version: {d.version}}}")
    if release.patches:
        lines.append(f"    patches: [{', '.join(release.patches)}]")
    return "\n".join([*lines, ""])
