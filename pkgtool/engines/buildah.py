"""buildah, which needs no daemon: the embedded default.

Its storage lies in the store, so nothing of the user's own images is touched. Every build runs in a process
namespace of its own (a kill takes all of it) and, unless the package asks for the network, in a network namespace
that has none. Inside, `--isolation chroot` is enough and works for ordinary users too; the network could not be
switched off with it otherwise.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pkgtool import process, programs
from pkgtool.cancel import Cancellation
from pkgtool.engines import binfmt, dockerfile
from pkgtool.engines.interface import BuildRequest, EngineInfo, LineSink, Parent
from pkgtool.errors import BuildError, EngineError
from pkgtool.oci import locks
from pkgtool.oci.archive import write_docker_archive
from pkgtool.oci.store import Store
from pkgtool.values import Platform

_RESULT = "localhost/pkgtool-result"


class BuildahEngine:
    """buildah as found on this machine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rootless = os.geteuid() != 0
        self._directory = store.engine_directory("buildah-rootless" if self._rootless else "buildah")
        self._users: int | None = None
        self._joining = threading.Lock()
        version = process.run(["buildah", "version", "--json"], why="build images")
        details = json.loads(version.output)
        self.info = EngineInfo(
            "buildah",
            str(details["version"]),
            Platform.parse(str(details["buildPlatform"])),
            "as an ordinary user" if self._rootless else "as root",
        )

    def build(self, request: BuildRequest, output: Path, *, log: LineSink, cancel: Cancellation) -> EngineInfo:
        """See `Engine.build`."""
        self._require_emulator(request)
        self._join()
        result = f"{_RESULT}:{uuid.uuid4().hex}"
        building = locks.hold_shared(self._directory / "building")
        try:
            for parent in request.parents:
                self._load(parent, cancel)
            self._buildah(
                ["build", *self._options(request), "--tag", result, str(request.context)],
                network=request.network,
                log=log,
                cancel=cancel,
            )
            self._buildah(["push", "--quiet", result, f"docker-archive:{output}"], cancel=cancel)
        except process.ProcessFailed as failure:
            raise BuildError(f"buildah ended with status {failure.returncode}", details=failure.details) from None
        finally:
            os.close(building)
            self._remove_results()
        return self.info

    def _remove_results(self) -> None:
        """Remove results, also those of builds that were killed, if nobody builds; else whoever ends last does it.

        Results with a layer in common share it: removed beside a build that is about to refer to that layer, it would
        be gone ("layer not known").
        """
        alone = locks.try_hold(self._directory / "building")
        if alone is None:
            return
        try:
            named = ["images", "--format", "{{.Name}}:{{.Tag}}", "--filter", f"reference={_RESULT}"]
            found = self._buildah(named, accept=(0, 1, 125)).text.split()
            results = [name for name in found if name.startswith(f"{_RESULT}:")]
            if results:
                self._buildah(["rmi", "--force", *results], accept=(0, 1, 125))
        finally:
            os.close(alone)

    def _require_emulator(self, request: BuildRequest) -> None:
        """Say what is missing before anything runs: a step's own words would be "exec format error"."""
        text = (request.context / request.dockerfile).read_text("utf-8", "surrogateescape")
        if dockerfile.steps_on_target(text):
            binfmt.require(request.platform, f"{request.title}: a step of its Dockerfile runs them")

    def close(self) -> None:
        """Let other processes clean up the storage."""
        if self._users is not None:
            os.close(self._users)
            self._users = None

    def _join(self) -> None:
        """Become one of the storage's users; whoever comes alone first removes what killed builds left there."""
        with self._joining:
            if self._users is not None:
                return
            lock = self._directory / "users"
            alone = locks.try_hold(lock)
            if alone is not None:
                if (self._directory / "root").exists():
                    self._buildah(["rm", "--all"], accept=(0, 1, 125))
                    self._buildah(["rmi", "--prune", "--force"], accept=(0, 1, 125))
                os.close(alone)
            self._users = locks.hold_shared(lock)

    def _load(self, parent: Parent, cancel: Cancellation) -> None:
        reference = str(parent.reference)
        config = self._store.layout.manifest(parent.manifest).config.digest
        found = self._buildah(["images", "--no-trunc", "--format", "{{.ID}}", reference], accept=(0, 1, 125))
        if config.hex in found.text:
            return
        with self._store.lock("buildah-load", cancel=cancel), self._store.scratch("load") as scratch:
            archive = scratch / "image.tar"
            with archive.open("wb") as out:
                write_docker_archive(self._store.layout, parent.manifest, [parent.reference], out)
            self._buildah(["pull", "--quiet", f"docker-archive:{archive}"], cancel=cancel)

    def _buildah(
        self,
        arguments: Sequence[str],
        *,
        network: bool = False,
        log: LineSink | None = None,
        cancel: Cancellation | None = None,
        accept: Sequence[int] = (0,),
    ) -> process.Completed:
        self._keep_caches()
        storage = [f"--root={self._directory}/root", f"--runroot={self._directory}/run", "--storage-driver=overlay"]
        try:
            return process.run(
                [*self._namespaces(network), "buildah", *storage, *arguments],
                why="run builds in namespaces of their own",
                # Builds need nobody's credentials; and buildah fails if DOCKER_CONFIG names a place without any.
                env={"BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self._store.temporary()), "DOCKER_CONFIG": ""},
                on_line=log,
                cancel=cancel,
                accept=accept,
                die_with_parent=True,
            )
        except EngineError as problem:
            hint = programs.install_hint("buildah", "unshare", "newuidmap")
            raise EngineError(problem.message, hint=hint) from problem

    def _keep_caches(self) -> None:
        """Let cache mounts, which buildah puts into its temporary directory, outlive this process."""
        kept = self._directory / "cache"
        kept.mkdir(parents=True, exist_ok=True)
        for name in ("buildah-cache", f"buildah-cache-{os.geteuid()}"):
            # Steps run side by side: another one may be first.
            with suppress(FileExistsError):
                (self._store.temporary() / name).symlink_to(kept)

    def _options(self, request: BuildRequest) -> list[str]:
        native = self.info.platform
        # buildah 1.28 knows these in a FROM only if they are given.
        automatic = {"BUILDPLATFORM": str(native), "BUILDOS": native.os, "BUILDARCH": native.arch}
        values = {**automatic, **request.build_args}
        arguments = [f"--build-arg={name}={value}" for name, value in sorted(values.items())]
        return [
            "--isolation=chroot",
            "--format=docker",
            "--identity-label=false",
            "--layers=false",
            "--force-rm",
            "--pull=false",
            f"--timestamp={request.epoch}",
            f"--platform={request.platform}",
            f"--file={request.context / request.dockerfile}",
            *arguments,
        ]

    def _namespaces(self, network: bool) -> list[str]:
        user = ["buildah", "unshare", "--"] if self._rootless else []
        own_network = [] if network else ["--net"]
        return [*user, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *own_network, "--"]


def connect(store: Store) -> BuildahEngine | None:
    """buildah, or None if it is not installed."""
    return BuildahEngine(store) if programs.find("buildah") else None
