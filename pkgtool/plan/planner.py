"""From packages, fingerprints and a snapshot of what exists to a plan. Pure: no clock, no disk, no client."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pkgtool.errors import ConfigError, Location
from pkgtool.fingerprint import Fingerprint
from pkgtool.graph import in_order
from pkgtool.model import Package, Role
from pkgtool.oci.documents import Descriptor, Index
from pkgtool.oci.store.memo import MemoRecord, memo_key
from pkgtool.plan.steps import IMAGE_KINDS, Plan, Skipped, Step, StepKind
from pkgtool.values import Digest, Platform


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What existed when the plan was made: remembered results, the store's references, times of earlier runs."""

    remembered: Mapping[str, MemoRecord] = field(default_factory=dict)
    published: Mapping[str, Descriptor] = field(default_factory=dict)
    """What the registry has under the tags, by the same keys."""
    references: Mapping[str, Descriptor] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: packages by name, platforms, the platform that tools run on, and what to build anew."""

    names: tuple[str, ...]
    platforms: tuple[Platform, ...]
    build_platform: Platform
    rebuild: frozenset[str] = frozenset()


def build_key(fingerprint: Fingerprint, package: Package, platform: Platform) -> str:
    """Under which name the result is remembered.

    Hash and organisation are inside the image (PKG_HASH, PKG_IMAGE), and not in the record: the same files have one
    hash while they are dirty and another one once they are committed.
    """
    inside = f"{fingerprint.digest}\n{fingerprint.content_hash}\n{package.org}"
    return memo_key(Digest.of(inside.encode()), platform)


def keys_of_interest(
    packages: Mapping[str, Package], fingerprints: Mapping[str, Fingerprint], target: Target
) -> dict[str, None]:
    """All keys that `plan_build` may look up in its snapshot, in a fixed order."""
    return {
        build_key(fingerprints[name], packages[name], platform): None
        for name in fingerprints
        for platform in {*packages[name].platforms, *target.platforms, target.build_platform}
    }


def plan_build(
    packages: Mapping[str, Package],
    fingerprints: Mapping[str, Fingerprint],
    target: Target,
    snapshot: Snapshot,
) -> Plan:
    """The steps that make the target's images and references exist in the store.

    What is remembered is not built, and what only it stands on is not looked at. Raises `ConfigError` if a package
    needs another one for a platform that the other one is not made for.
    """
    return _Planner(packages, fingerprints, target, snapshot).plan()


class _Planner:
    def __init__(
        self,
        packages: Mapping[str, Package],
        fingerprints: Mapping[str, Fingerprint],
        target: Target,
        snapshot: Snapshot,
    ) -> None:
        self._packages = packages
        self._fingerprints = fingerprints
        self._target = target
        self._snapshot = snapshot
        self._asked = frozenset(target.names)
        self._needed: dict[str, dict[Platform, str]] = {}
        """Why a package is needed for a platform."""

    def plan(self) -> Plan:
        skipped = self._ask()
        order = in_order(self._packages, self._target.names)
        builds: dict[str, list[Step]] = {}
        for name in reversed(order):
            steps = [self._build(name, platform, why) for platform, why in self._needed.get(name, {}).items()]
            builds[name] = sorted(steps, key=lambda step: step.id)
        steps = [step for name in order for step in self._steps_of(name, builds[name])]
        return Plan(tuple(steps), tuple(skipped))

    def _ask(self) -> list[Skipped]:
        skipped = []
        for name in self._target.names:
            own = self._packages[name].platforms
            wanted = [platform for platform in self._target.platforms if platform in own]
            if wanted:
                self._needed[name] = dict.fromkeys(wanted, "asked for")
            elif not own:
                skipped.append(Skipped(name, "it is made for no platform (arches is empty)"))
            else:
                asked = _listed(self._target.platforms)
                skipped.append(Skipped(name, f"it is made for {_listed(own)}, not for {asked}"))
        return skipped

    def _build(self, name: str, platform: Platform, why: str) -> Step:
        """The build step; if there is something to build, what it stands on becomes needed."""
        package, fingerprint = self._packages[name], self._fingerprints[name]
        key = build_key(fingerprint, package, platform)
        kind = self._kind(name, platform)
        identity = _image_id(kind, name, platform)
        known = None if name in self._target.rebuild else self._snapshot.remembered.get(key)
        step_needs: list[str] = []
        if known is None and kind is StepKind.BUILD:
            if package.inputs:
                step_needs.append(_fetch_id(name))
            step_needs += self._need_dependencies(package, platform)
        return Step(
            id=identity,
            kind=kind,
            package=name,
            platform=platform,
            reason=f"{why}; {self._state(name, kind, known)}",
            needs=tuple(step_needs),
            done=known is not None,
            key=key,
            reference=fingerprint.platform_reference(platform),
            known=known,
            seconds=known.seconds if known else self._snapshot.timings.get(identity, 0.0),
        )

    def _kind(self, name: str, platform: Platform) -> StepKind:
        """Whether an image is built, or pulled because only the registry has it."""
        key = build_key(self._fingerprints[name], self._packages[name], platform)
        here = key in self._snapshot.remembered
        wanted = name not in self._target.rebuild and not here and key in self._snapshot.published
        return StepKind.PULL if wanted else StepKind.BUILD

    def _need_dependencies(self, package: Package, platform: Platform) -> Iterable[str]:
        for dependency in package.dependencies:
            wanted = self._target.build_platform if dependency.role is Role.TOOL else platform
            other = self._packages[dependency.name]
            if wanted not in other.platforms:
                raise ConfigError(
                    f"{package.name} needs {other.name} for {wanted}, but it is made for {_listed(other.platforms)}",
                    location=Location(package.build_file),
                    hint=f"add the architecture to {other.build_file}, or take it out of {package.build_file}",
                )
            role = "a tool for" if dependency.role is Role.TOOL else "needed by"
            self._needed.setdefault(other.name, {}).setdefault(wanted, f"{role} {package.name}")
            yield _image_id(self._kind(other.name, wanted), other.name, wanted)

    def _state(self, name: str, kind: StepKind, known: MemoRecord | None) -> str:
        if known:
            return "the store has it"
        if kind is StepKind.PULL:
            return "the registry has it"
        if name in self._target.rebuild:
            return "to be built anew"
        return f"the store has nothing for {self._fingerprints[name].reference.tag}"

    def _steps_of(self, name: str, builds: Sequence[Step]) -> Iterable[Step]:
        if not builds:
            return
        open_builds = [step for step in builds if not step.done]
        to_build = [step for step in open_builds if step.kind is StepKind.BUILD]
        if to_build and self._packages[name].inputs:
            yield self._fetch(name, to_build)
        yield from builds
        if name in self._asked or open_builds:
            yield self._assemble(name, open_builds)

    def _fetch(self, name: str, builds: Sequence[Step]) -> Step:
        return Step(
            id=_fetch_id(name),
            kind=StepKind.FETCH,
            package=name,
            platform=None,
            reason=f"inputs of {_listed([step.platform for step in builds if step.platform])}",
            seconds=self._snapshot.timings.get(_fetch_id(name), 0.0),
        )

    def _assemble(self, name: str, open_builds: Sequence[Step]) -> Step:
        fingerprint = self._fingerprints[name]
        done = not open_builds and self._references_are_set(name)
        return Step(
            id=f"assemble {name}",
            kind=StepKind.ASSEMBLE,
            package=name,
            platform=None,
            reason="the references are set" if done else f"set {fingerprint.reference}",
            needs=tuple(step.id for step in open_builds),
            done=done,
            reference=fingerprint.reference,
        )

    def _references_are_set(self, name: str) -> bool:
        fingerprint = self._fingerprints[name]
        manifests = remembered_manifests(self._packages[name], fingerprint, self._snapshot.remembered)
        expected = Descriptor.of(Index.of_platforms(list(manifests.values())).encode(), "")
        found = self._snapshot.references.get(str(fingerprint.reference))
        return (
            found is not None
            and found.digest == expected.digest
            and all(
                (own := self._snapshot.references.get(str(fingerprint.platform_reference(platform)))) is not None
                and own.digest == manifest.digest
                for platform, manifest in manifests.items()
            )
        )


def remembered_manifests(
    package: Package, fingerprint: Fingerprint, remembered: Mapping[str, MemoRecord]
) -> dict[Platform, Descriptor]:
    """The manifests of all the platforms that a package has been built for so far."""
    found = {}
    for platform in package.platforms:
        record = remembered.get(build_key(fingerprint, package, platform))
        if record:
            found[platform] = record.manifest
    return found


def plan_push(
    plan: Plan, names: Iterable[str], fingerprints: Mapping[str, Fingerprint], registry: str, *, sign: bool = False
) -> Plan:
    """The same plan with a step that publishes each of `names`, and with `sign` one that signs what it published."""
    steps = list(plan.steps)
    for name in names:
        if not any(step.package == name and step.kind in IMAGE_KINDS for step in plan.steps):
            continue
        before = tuple(step.id for step in plan.steps if step.package == name and not step.done)
        steps.append(_registry_step(StepKind.PUSH, name, fingerprints, f"publish it in {registry}", before))
        if sign:
            steps.append(_sign_step(name, fingerprints, (steps[-1].id,)))
    return Plan(tuple(steps), plan.skipped)


def plan_sign(names: Iterable[str], fingerprints: Mapping[str, Fingerprint]) -> Plan:
    """A plan that signs what is published of `names`."""
    return Plan(tuple(_sign_step(name, fingerprints, ()) for name in names))


def _sign_step(name: str, fingerprints: Mapping[str, Fingerprint], needs: tuple[str, ...]) -> Step:
    return _registry_step(StepKind.SIGN, name, fingerprints, "sign it, and attach what is known of it", needs)


def _registry_step(
    kind: StepKind, name: str, fingerprints: Mapping[str, Fingerprint], reason: str, needs: tuple[str, ...]
) -> Step:
    return Step(
        id=f"{kind.value} {name}",
        kind=kind,
        package=name,
        platform=None,
        reason=reason,
        needs=needs,
        reference=fingerprints[name].reference,
    )


def _image_id(kind: StepKind, name: str, platform: Platform) -> str:
    return f"{kind.value} {name} {platform}"


def _fetch_id(name: str) -> str:
    return f"fetch {name}"


def _listed(platforms: Collection[Platform]) -> str:
    return ", ".join(map(str, platforms)) or "nothing"
