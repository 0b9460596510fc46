"""Where the .debs of a lock lie: the mirror's pool, then the snapshot archive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.debian.apt import Source
from pkgtool.inputs.lock import Archive, Deb, DebianLock
from pkgtool.model import TreeSettings

_SNAPSHOT_DELAY = timedelta(days=1)
"""A snapshot is taken some hours after the archive changed; what was replaced stays in the pool longer than that."""


def origin(archive: str) -> str:
    """`debian` for `debian@20260711T075541Z`, the name under which a lock refers to an older state."""
    return archive.partition("@")[0]


def older_name(archive: Archive) -> str:
    """How a lock refers to a state of an archive that is not the one its other packages come from."""
    return f"{origin(archive.name)}@{_stamp(archive.date)}"


def sources(settings: TreeSettings, suites: tuple[tuple[str, str], ...]) -> tuple[Source, ...]:
    """The mirrors that the suites of a request are taken from."""
    urls = {"debian": settings.debian_mirror, "debian-security": settings.debian_security_mirror}
    return tuple(Source(archive, suite, urls[archive].rstrip("/")) for archive, suite in suites)


def deb_artifact(package: str, deb: Deb, lock: DebianLock, settings: TreeSettings) -> Artifact:
    """A .deb as something to fetch."""
    path = quote(deb.path, safe="/~+")
    security = origin(deb.archive) == "debian-security"
    mirror = settings.debian_security_mirror if security else settings.debian_mirror
    snapshot = settings.debian_security_snapshot if security else settings.debian_snapshot
    urls = [f"{mirror.rstrip('/')}/{path}"] if mirror else []
    date = next((archive.date for archive in lock.archives if archive.name == deb.archive), None)
    if snapshot and date:
        moments = (date + _SNAPSHOT_DELAY, date)
        urls += [f"{snapshot.rstrip('/')}/{_stamp(moment)}/{path}" for moment in moments]
    return Artifact(package, deb.name, str(deb), deb.content, tuple(urls))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
