"""A small Debian archive behind a mirror, and a store to lock its packages with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pkgtool.errors import PkgtoolError
from pkgtool.events import Event, Note
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.request import Parents
from pkgtool.inputs.resolve import NOTHING, Resolver, Target
from pkgtool.inputs.transfer import Limits
from pkgtool.model import DebianInput, Inputs, Package, Rootfs, TreeSettings
from pkgtool.oci.store import Store
from pkgtool.values import Platform
from tests.support.fake_archive import FakeArchive
from tests.support.faulty_server import FaultyServer

AMD64 = (Platform.parse("linux/amd64"),)
BOTH = (*AMD64, Platform.parse("linux/arm64"))


def package(name: str, *names: str, rootfs: Rootfs | None = None, platforms: tuple[Platform, ...] = AMD64) -> Package:
    return Package(
        name=name,
        org="linuxkit",
        path=f"pkg/{name}",
        tag_template="",
        platforms=platforms,
        context=(),
        source_url="",
        source_date_epoch=0,
        inputs=Inputs(debian=DebianInput("trixie", names)),
        rootfs=rootfs,
    )


@dataclass
class Bench:
    """A mirror that serves an archive, and a store to lock with."""

    server: FaultyServer
    archive: FakeArchive
    store: Store
    settings: TreeSettings
    events: list[Event] = field(default_factory=list)

    def publish(self, *, keep: bool = False, **options: str) -> None:
        files = self.archive.publish(**options)
        self.server.files = {**(self.server.files if keep else {}), **files}

    @contextmanager
    def resolver(self) -> Iterator[Resolver]:
        limits = Limits(attempts=1, silence=2)
        with (
            Fetcher(self.store, limits=limits, events=self.events.append) as fetcher,
            Resolver(fetcher, self.settings, keyring=str(self.archive.key.keyring)) as resolver,
        ):
            yield resolver

    def lock(
        self,
        wanted: Package,
        *,
        parents: Parents = (),
        previous: Lock | None = None,
        update: frozenset[str] | None = NOTHING,
    ) -> Lock:
        with self.resolver() as resolver:
            target = Target(wanted, Path(), parents, wanted.platforms)
            return resolver.resolve(target, previous=previous, update=update)

    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note) and event.level == "warning"]


def versions(lock: Lock, arch: str = "amd64") -> dict[str, str]:
    assert lock.debian
    return {deb.name: deb.version for deb in lock.debian.for_architecture(arch)}


def refused(bench: Bench, *names: str, **options: object) -> PkgtoolError:
    with pytest.raises(PkgtoolError) as caught:
        bench.lock(package("x", *names), **options)  # type: ignore[arg-type]
    return caught.value
