"""The decision. Pure: from what was proven, what is expected and the time, whether an image is accepted, or why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pkgtool.policy import provenance
from pkgtool.policy.claims import Claim, Objection, weigh
from pkgtool.policy.decision import Check, Decision, Reason
from pkgtool.policy.model import ImageRule, Policy, Requirement, Scope
from pkgtool.policy.outcome import outcome
from pkgtool.policy.provenance import Expected
from pkgtool.signing.statements.statement import SIGN, short_name
from pkgtool.signing.verify.evidence import Evidence, Findings
from pkgtool.values import Digest


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it lies in its repository, with all that was proven about it."""

    name: str
    """Host and repository."""
    root: Findings
    """Of the digest that the reference leads to: an index or a single manifest."""
    platforms: Mapping[str, Findings] = field(default_factory=dict)
    """Of the manifests of an index, by platform; empty for a single manifest."""
    expected: Expected = field(default_factory=Expected)
    pinned: bool = False
    """Whether it is a single manifest that was asked for by its own digest: one platform's image, like a dependency."""
    dependencies: Mapping[Digest, Decision] = field(default_factory=dict)
    """What was decided about the images that this one was built from, as far as they were looked at."""


def evaluate(policy: Policy, image: Image, now: datetime) -> Decision:
    """Whether the policy accepts the image. `now` has a time zone."""
    rule = policy.rule_for(image.name)
    if rule is None:
        check = Check(
            image.root.digest, "policy", reason=Reason.NO_RULE, message=f"no rule of {policy.file} is for {image.name}"
        )
        return Decision(image.name, image.root.digest, (check,))
    checks = [*_shape(rule, image)]
    for requirement in rule.requirements:
        scope = _in_scope(requirement.scope, image)
        checks += [_require(requirement, findings, policy, image, now) for findings in scope]
    checks = _explained(checks, image)
    levels = [each.provenance.level for each in rule.requirements if each.provenance]
    return Decision(image.name, image.root.digest, tuple(checks), min(levels, default=0), _counted(checks, image))


def _shape(rule: ImageRule, image: Image) -> Iterable[Check]:
    """Whether the index is the one expected and holds the platforms that must be there."""
    expected = image.expected
    if expected.index and expected.index != image.root.digest:
        message = f"the reference leads to {image.root.digest}, expected was {expected.index}"
        yield Check(image.root.digest, "digest", reason=Reason.OTHER_DIGEST, message=message)
    if expected.alone:
        return
    # Who names one platform's manifest by its digest asks for no others; a tag that leads to one has lost them.
    platforms = () if image.pinned else rule.platforms
    wanted = {str(platform): None for platform in platforms} | dict(expected.platforms)
    for platform, digest in sorted(wanted.items()):
        found = image.platforms.get(platform)
        if found is None:
            have = ", ".join(sorted(image.platforms)) or "none"
            message = f"the platform {platform} is missing from the index (it has {have})"
            yield Check(image.root.digest, "platforms", reason=Reason.PLATFORM_MISSING, message=message)
        elif digest and found.digest != digest:
            message = f"{platform} is {found.digest}, expected was {digest}"
            yield Check(found.digest, "platforms", reason=Reason.OTHER_DIGEST, message=message)
        else:
            yield Check(found.digest, "platforms")


def _in_scope(scope: Scope, image: Image) -> list[Findings]:
    """A single manifest stands for both: it is what the reference leads to, and what runs.

    What only an index must have is not asked of a manifest that was named by its digest.
    """
    platforms = [image.platforms[name] for name in sorted(image.platforms)]
    if scope is Scope.INDEX:
        return [] if image.pinned else [image.root]
    if scope is Scope.PLATFORMS:
        return platforms or [image.root]
    return [image.root, *platforms]


def _require(requirement: Requirement, findings: Findings, policy: Policy, image: Image, now: datetime) -> Check:
    claims, objections = weigh(requirement, findings.evidence, policy, now)
    if requirement.provenance and claims:
        claims, more = _content(requirement, claims, image)
        objections += more
    return outcome(requirement, findings, claims, objections)


def _content(requirement: Requirement, claims: list[Claim], image: Image) -> tuple[list[Claim], list[Objection]]:
    """Keep the provenance that says what it must."""
    rule = requirement.provenance
    assert rule is not None
    kept: list[Claim] = []
    found: list[Objection] = []
    for claim in claims:
        predicate = claim.evidence.predicate
        said = provenance.objections(predicate, rule, image.expected)
        found += [Objection(Reason.CONTENT, f"the provenance by {claim.signer} does not fit: {each}") for each in said]
        unverified = _unverified(claim, image) if rule.dependencies_verified else []
        found += [Objection(Reason.DEPENDENCY, each) for each in unverified]
        if not said and not unverified:
            kept.append(claim)
    return kept, found


def _counted(checks: Iterable[Check], image: Image) -> tuple[Evidence, ...]:
    """The evidence that the checks rest on."""
    sources = {(check.digest, source) for check in checks for source in check.evidence}
    everything = (piece for findings in (image.root, *image.platforms.values()) for piece in findings.evidence)
    return tuple(piece for piece in everything if (piece.digest, piece.source) in sources)


def _unverified(claim: Claim, image: Image) -> list[str]:
    try:
        needed = provenance.dependencies(claim.evidence.predicate)
    except ValueError as problem:
        return [f"the provenance by {claim.signer} has a malformed dependency: {problem}"]
    found = []
    for each in needed:
        decision = image.dependencies.get(each.digest)
        if decision is None:
            found.append(f"it was built from {each.reference}@{each.digest.short}…, which was not verified")
        elif not decision.accepted:
            why = decision.failures[0].message if decision.failures else "nothing was checked"
            found.append(f"it was built from {each.reference}@{each.digest.short}…, which is refused: {why}")
    return found


def _explained(checks: list[Check], image: Image) -> list[Check]:
    """An unsigned index over signed manifests was not left unsigned: it was changed."""
    by_digest = {check.digest: check for check in checks if check.what == short_name(SIGN)}
    root = by_digest.get(image.root.digest)
    platforms = [by_digest[each.digest] for each in image.platforms.values() if each.digest in by_digest]
    if root is None or root.reason is not Reason.UNSIGNED or not any(check.passed for check in platforms):
        return checks
    message = "the index is not signed although its manifests are: platforms were taken out, added or exchanged"
    changed = Check(root.digest, root.what, reason=Reason.INDEX_CHANGED, message=message, details=root.details)
    return [changed if check is root else check for check in checks]
