"""Verify published images by a policy: the tree's packages, any reference, a release, an exported archive."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pkgtool import __version__
from pkgtool.cancel import Cancellation
from pkgtool.errors import ConfigError, Location, UsageError, VerificationError
from pkgtool.events import Sink
from pkgtool.model import Workspace
from pkgtool.oci.documents import Descriptor
from pkgtool.policy.decision import Decision
from pkgtool.policy.model import Policy
from pkgtool.policy.provenance import Expected
from pkgtool.policy.reader import read_policy
from pkgtool.policy.release import verify_release
from pkgtool.policy.verify import Request, Verifier
from pkgtool.release import Release, ReleasedPackage
from pkgtool.signing import publish
from pkgtool.signing.attestor import Attestor
from pkgtool.signing.statements.claims import Verification, verification_summary
from pkgtool.values import ImageRef
from pkgtool.workflows.attestors import SigningOptions, open_attestor
from pkgtool.workflows.guard import POLICY_FILE, policy_path
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.sign import workspace_or_none
from pkgtool.workflows.tree import find_root, open_tree
from pkgtool.workflows.verify_places import Place, dependency, places

BUNDLE_SUFFIX = ".sigstore.json"
"""What is appended to a file's name for the bundle with its signature."""
VERIFIER = "https://pkgtool.dev/verifier/v1"


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What to verify by which policy. `summary` says how to sign and attach a verification summary."""

    policy: Path | None = None
    release: Path | None = None
    archive: Path | None = None
    summary: SigningOptions | None = None
    jobs: int = 8


@dataclass(frozen=True, slots=True)
class Verified:
    """All decisions, and the policy that they follow."""

    policy: Policy
    decisions: tuple[Decision, ...]
    release: Decision | None = None

    @property
    def accepted(self) -> bool:
        everything = (*self.decisions, *([self.release] if self.release else ()))
        return bool(everything) and all(decision.accepted for decision in everything)


def verify(
    options: RunOptions,
    verify_options: VerifyOptions,
    arguments: Sequence[str],
    *,
    events: Sink,
    cancel: Cancellation,
) -> Verified:
    """Decide about everything that was asked for; nothing is raised for what is refused.

    Raises `ConfigError` for the policy, `RegistryError` if a registry can't answer, `VerificationError` for what does
    not exist.
    """
    if verify_options.summary and verify_options.archive:
        raise UsageError("a summary can't be attached inside an archive", hint="import it, then verify the registry")
    workspace = workspace_or_none(options)
    policy = read_policy(find_policy(options, workspace, verify_options.policy))
    decided = _release_decision(verify_options.release, policy) if verify_options.release else None
    if decided and not decided.accepted:
        # What it names is nobody's word: there is nothing to look for.
        return Verified(policy, (), decided)
    with ExitStack() as stack:
        archive, release = verify_options.archive, verify_options.release
        place = stack.enter_context(
            places(options, workspace, archive=archive, release=release, events=events, cancel=cancel)
        )
        requests = _requests(options, verify_options, arguments, place)
        verifier = Verifier(policy, open_repository=lambda name: dependency(name, place))
        found = list(verifier.verify_all(requests, jobs=verify_options.jobs))
        if verify_options.summary:
            _attach_summaries(found, policy, verify_options.summary, workspace)
    return Verified(policy, tuple(decision for _, decision in found), decided)


def find_policy(options: RunOptions, workspace: Workspace | None, given: Path | None = None) -> Path:
    """The policy file: the one given, else pkgtool.yml's, else policy.yml at the tree's root.

    Raises `ConfigError` if there is none: without a policy nothing can be accepted.
    """
    if given is not None:
        return given
    found = policy_path(workspace) if workspace else None
    if found is None or not found.is_file():
        raise ConfigError(
            "there is no policy to verify by",
            location=Location(str(found or find_root(options.directory) / POLICY_FILE)),
            hint="write one (docs/signing.md), or name it with --policy FILE",
        )
    return found


def _requests(
    options: RunOptions, verify_options: VerifyOptions, arguments: Sequence[str], place: Place
) -> list[Request]:
    if verify_options.release:
        release = Release.read(verify_options.release)
        wanted = [p for p in release.packages if not arguments or p.name in arguments]
        return [Request(place(p.repository), p.index.digest, _expected(p)) for p in wanted]
    references = [ImageRef.parse(a) for a in arguments if "/" in a and (":" in a or "@" in a)]
    if references:
        if len(references) != len(arguments):
            raise UsageError("name either packages or references")
        return [Request(place(r.name), r.digest or r.tag) for r in references]
    tree = open_tree(options, arguments)
    found = []
    for name in tree.names:
        reference = tree.fingerprints[name].reference
        found.append(Request(place(reference.name), reference.tag, Expected(tag=reference.tag)))
    return found


def _expected(package: ReleasedPackage) -> Expected:
    """What a release says about one of its packages.

    The release's commit is not asked of the provenance: what no commit since has changed was built from an older one,
    and its tag says that it is the same. Raises `VerificationError` if no platforms are named: a release that doesn't
    say what must be there can't show that something was taken away.
    """
    if not package.images:
        raise VerificationError(f"the release names no platforms of {package.name}")
    platforms = tuple((str(image.platform), image.digest) for image in package.images)
    return Expected(tag=package.tag, index=package.index.digest, platforms=platforms)


def _release_decision(file: Path, policy: Policy) -> Decision:
    bundle = file.with_name(file.name + BUNDLE_SUFFIX)
    try:
        content = file.read_bytes()
        bundles = [bundle.read_bytes()] if bundle.is_file() else []
    except OSError as problem:
        raise ConfigError(f"{problem.filename} can't be read: {problem.strerror}") from problem
    return verify_release(str(file), content, bundles, policy, datetime.now(UTC))


def _attach_summaries(
    found: Sequence[tuple[Request, Decision]], policy: Policy, signing: SigningOptions, workspace: Workspace | None
) -> None:
    """Say, signed, beside each image what was decided about it."""
    with closing(open_attestor(signing, workspace)) as attestor:
        for request, decision in found:
            _attach_summary(request, decision, policy, attestor)


def _attach_summary(request: Request, decision: Decision, policy: Policy, attestor: Attestor) -> None:
    outcome = Verification(
        resource=f"{request.repository.name}@{decision.digest}",
        # Where the policy lies here is nobody's business; which one it was, its digest says.
        policy_uri=Path(policy.file).name,
        policy_digest=policy.digest,
        passed=decision.accepted,
        level=decision.level,
        verifier=VERIFIER,
        verifier_version=__version__,
        at=datetime.now(UTC),
        evidence=decision.evidence,
    )
    subject = request.repository.resolve(decision.digest)
    assert isinstance(subject, Descriptor)
    publish.attest(request.repository, subject, verification_summary(outcome, decision.digest), attestor)
