"""Verifying images where they lie: gather what is proven about them, then decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from pkgtool.errors import VerificationError
from pkgtool.oci.documents import Descriptor, Index
from pkgtool.oci.repository import Repository
from pkgtool.policy import provenance
from pkgtool.policy.decision import Check, Decision, Reason
from pkgtool.policy.evaluate import Image, evaluate
from pkgtool.policy.model import Policy
from pkgtool.policy.provenance import Dependency, Expected
from pkgtool.signing import verify
from pkgtool.signing.statements.statement import PROVENANCE
from pkgtool.signing.verify import Findings
from pkgtool.values import Digest

OpenRepository = Callable[[str], "Repository | None"]
"""Gives the repository that holds a dependency (`linuxkit/base:TAG`), or None if there is none."""


@dataclass(frozen=True, slots=True)
class Request:
    """One image to be verified."""

    repository: Repository
    reference: str | Digest
    expected: Expected = field(default_factory=Expected)

    @property
    def name(self) -> str:
        joint = "@" if isinstance(self.reference, Digest) else ":"
        return f"{self.repository.name}{joint}{self.reference}"


class Verifier:
    """Verifies images against one policy; remembers what it decided, so that a shared base is looked at once.

    Several threads may use it.
    """

    def __init__(
        self, policy: Policy, *, now: datetime | None = None, open_repository: OpenRepository | None = None
    ) -> None:
        self._policy = policy
        self._now = now or datetime.now(UTC)
        self._open = open_repository
        self._decided: dict[Digest, Decision] = {}

    def verify(self, request: Request) -> Decision:
        """Decide about one image.

        Raises `VerificationError` if there is no such image or it is malformed, `RegistryError` if the repository
        can't answer.
        """
        return self._verify(request, ())

    def verify_all(self, requests: Iterable[Request], *, jobs: int = 8) -> Iterator[tuple[Request, Decision]]:
        """Decide about many, in their order, several at a time."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(jobs, thread_name_prefix="verify") as pool:
            listed = list(requests)
            yield from zip(listed, pool.map(self.verify, listed), strict=True)

    def _verify(self, request: Request, within: tuple[Digest, ...]) -> Decision:
        root, platforms = _resolve(request)
        image = Image(
            request.repository.name,
            Findings(root.digest),
            {name: Findings(each) for name, each in platforms},
            replace(request.expected, repository=request.repository.name),
            pinned=isinstance(request.reference, Digest) and not root.is_index,
        )
        rule = self._policy.rule_for(image.name)
        if rule is None:
            return replace(evaluate(self._policy, image, self._now), name=request.name)
        kinds = {each.predicate_type for each in rule.requirements}
        decision = None
        # The older format takes the fewest requests; bundles are looked at only for what it leaves open.
        for gather in (verify.classic, verify.bundles):
            open_digests = {check.digest for check in decision.failures} if decision else None
            image = self._gathered(image, partial(gather, request.repository), kinds, open_digests)
            if any(each.provenance and each.provenance.dependencies_verified for each in rule.requirements):
                image = replace(image, dependencies=self._dependencies(image, (*within, root.digest)))
            decision = evaluate(self._policy, image, self._now)
            if decision.accepted:
                break
        assert decision is not None
        return replace(decision, name=request.name)

    def _gathered(
        self,
        image: Image,
        gather: Callable[..., Findings],
        kinds: Collection[str],
        only: Collection[Digest] | None,
    ) -> Image:
        def more(findings: Findings) -> Findings:
            if only is not None and findings.digest not in only:
                return findings
            return findings + gather(findings.digest, self._policy.trust, predicate_types=kinds)

        return replace(
            image, root=more(image.root), platforms={name: more(each) for name, each in image.platforms.items()}
        )

    # -- dependencies -----------------------------------------------------------------------------------

    def _dependencies(self, image: Image, within: tuple[Digest, ...]) -> dict[Digest, Decision]:
        found: dict[Digest, Decision] = {}
        for findings in (image.root, *image.platforms.values()):
            for piece in findings.evidence:
                if piece.predicate_type == PROVENANCE:
                    for dependency in _listed(piece.predicate):
                        found[dependency.digest] = self._dependency(dependency, within)
        return found

    def _dependency(self, dependency: Dependency, within: tuple[Digest, ...]) -> Decision:
        known = self._decided.get(dependency.digest)
        if known is not None:
            return known
        decision = self._decide(dependency, within)
        self._decided[dependency.digest] = decision
        return decision

    def _decide(self, dependency: Dependency, within: tuple[Digest, ...]) -> Decision:
        if dependency.digest in within:
            return _refused(dependency, "it would have been built from itself")
        repository = self._open(dependency.reference) if self._open else None
        if repository is None:
            return _refused(dependency, "nobody knows in which repository it lies")
        try:
            return self._verify(Request(repository, dependency.digest), within)
        except VerificationError as problem:
            return _refused(dependency, problem.message)


def _refused(dependency: Dependency, message: str) -> Decision:
    check = Check(dependency.digest, "dependency", reason=Reason.DEPENDENCY, message=message)
    return Decision(dependency.reference, dependency.digest, (check,))


def _listed(predicate: object) -> list[Dependency]:
    try:
        return provenance.dependencies(predicate) if isinstance(predicate, dict) else []
    except ValueError:
        return []  # the evaluation says so


def _resolve(request: Request) -> tuple[Descriptor, list[tuple[str, Digest]]]:
    """What a reference leads to, and the manifests in it if it is an index."""
    got = request.repository.get_manifest(request.reference)
    if got is None:
        raise VerificationError(f"{request.name} does not exist", hint="is the tag or digest right?")
    descriptor, content = got
    if Digest.of(content) != descriptor.digest or (
        isinstance(request.reference, Digest) and descriptor.digest != request.reference
    ):
        raise VerificationError(f"the registry gave other content than {request.name} has")
    if not descriptor.is_index:
        return descriptor, []
    index = Index.parse(content, what=f"the index {request.name}", error=VerificationError)
    return descriptor, _named(index.manifests)


def _named(manifests: Iterable[Descriptor]) -> list[tuple[str, Digest]]:
    """Every manifest under a name of its own: its platform, or else its digest."""
    found: dict[str, Digest] = {}
    for entry in manifests:
        name = str(entry.platform) if entry.platform else str(entry.digest)
        found[str(entry.digest) if name in found else name] = entry.digest
    return list(found.items())
