"""The locked inputs of a run: where the steps find a package's lock, its time, and its bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.errors import ConfigError, Location
from pkgtool.executor import Outcome, StepResult
from pkgtool.inputs.architectures import debian_architectures
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.fetch import Fetcher
from pkgtool.inputs.go_source import GoProxies
from pkgtool.inputs.lock import Lock
from pkgtool.inputs.pinned import pinned_lock
from pkgtool.inputs.stage.stage import Staging, artifacts_of, stage
from pkgtool.model import Package, TreeSettings
from pkgtool.plan.steps import Plan, Step, StepKind
from pkgtool.values import Platform


class InputAccess:
    """Locks by package name, and one fetcher for all of them."""

    def __init__(self, locks: Mapping[str, Lock], fetcher: Fetcher, settings: TreeSettings, proxies: GoProxies) -> None:
        self._locks = dict(locks)
        self._pinning = threading.Lock()
        self._fetcher = fetcher
        self._settings = settings
        self._proxies = proxies

    def lock(self, package: Package) -> Lock:
        """The lock of a package that has inputs. Raises `ConfigError` if there is none, `InputError`."""
        if package.inputs.pinned:
            with self._pinning:
                if package.name not in self._locks:
                    self._locks[package.name] = pinned_lock(package, self._fetcher)
        found = self._locks.get(package.name)
        if found is None:
            raise ConfigError(
                f"{package.name} has inputs and no lock",
                location=Location(package.lock_path),
                hint=f"pkgtool lock {package.name}",
            )
        return found

    def known_lock(self, package: Package) -> Lock | None:
        """The lock of any package of the run, if it has one that was read."""
        return self._locks.get(package.name)

    def epoch(self, package: Package) -> int:
        """SOURCE_DATE_EPOCH in seconds since 1970: the lock's date, else the tree's, else the constant."""
        date = self.lock(package).source_date_epoch if package.inputs and not package.inputs.pinned else None
        return package.source_date_epoch if date is None else date

    def artifacts(self, package: Package, platforms: Iterable[Platform]) -> list[Artifact]:
        """Everything that the package takes in on these platforms."""
        return artifacts_of(self._staging(package, platforms), self._settings, proxies=self._proxies)

    def fetch(self, package: Package, platforms: Iterable[Platform], *, step: str) -> int:
        """Bring what the store lacks; the number of things fetched. Raises `InputError` or `Problems`."""
        return len(self._fetcher.fetch(self.artifacts(package, platforms), step=step))

    def stage(self, package: Package, platform: Platform, context: Path) -> None:
        """Lay the inputs into a build context as `inputs/`. Raises `InputError`, `StoreError`."""
        stage(self._staging(package, (platform,)), context, self._fetcher, self._settings, proxies=self._proxies)

    def _staging(self, package: Package, platforms: Iterable[Platform]) -> Staging:
        lock = self.lock(package)
        architectures = debian_architectures(platforms) if lock.debian else ()
        return Staging(package.name, lock, architectures, self.epoch(package))


class FetchAction:
    """Brings a package's locked inputs into the store."""

    def __init__(self, site: Site, inputs: InputAccess, plan: Plan) -> None:
        self._site = site
        self._inputs = inputs
        self._plan = plan

    def __call__(self, step: Step, cancel: Cancellation) -> StepResult:
        builds = [s for s in self._plan.steps if s.package == step.package and s.kind is StepKind.BUILD and not s.done]
        platforms = [build.platform for build in builds if build.platform]
        fetched = self._inputs.fetch(self._site.package(step.package), platforms, step=step.id)
        cancel.check()
        return StepResult(Outcome.DONE if fetched else Outcome.REUSED)
