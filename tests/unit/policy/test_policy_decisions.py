"""Decisions: pure functions of evidence, policy and time."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import VerificationError
from pkgtool.policy.decision import Decision, Reason
from pkgtool.policy.evaluate import Image, evaluate
from pkgtool.policy.model import ImageRule, Policy, ProvenanceRule, Requirement, Scope, SignerRule
from pkgtool.policy.provenance import Expected
from pkgtool.policy.release import verify_release
from pkgtool.signing.certificates import Identity
from pkgtool.signing.dsse import IN_TOTO, Envelope, pae
from pkgtool.signing.formats.bundle import Bundle
from pkgtool.signing.log.check import Logged
from pkgtool.signing.statements.claims import Release, ReleasedPackage, release
from pkgtool.signing.statements.facts import BuildFacts, ParentImage, Source
from pkgtool.signing.statements.provenance import provenance
from pkgtool.signing.statements.statement import CYCLONEDX, PROVENANCE, RELEASE, SPDX
from pkgtool.signing.verify.evidence import Evidence, Findings
from pkgtool.values import Digest
from tests.support.registry.images import AMD64, ARM64
from tests.support.signing import NOW, signer

IMAGE = Digest.of(b"image")
BASE = Digest.of(b"base")
KEY = signer().public_key
CI = Identity("https://github.com/o/r/w@refs/heads/main", "https://issuer", {})
LOGGED = (Logged("https://log", 1, NOW - timedelta(days=1)),)


def policy(*requirements: Requirement, **signers: SignerRule) -> Policy:
    found = {"ours": SignerRule("ours", KEY), **signers}
    return Policy("policy.yml", Digest.of(b"p"), found, (ImageRule(("*",), requirements),))


def decide(rules: Policy, *evidence: Evidence, **image) -> Decision:
    return evaluate(rules, Image("r.example/linuxkit/getty", Findings(IMAGE, evidence), **image), NOW)


def reasons(decision: Decision) -> list[Reason | None]:
    return [check.reason for check in decision.checks]


SIGNED = Requirement(by=("ours",))


def test_a_signature_by_a_named_key_is_enough() -> None:
    decision = decide(policy(SIGNED), Evidence(IMAGE, KEY, SIGNED.predicate_type, source=BASE))
    assert decision.accepted
    assert decision.checks[0].signers == ("ours",)
    assert decision.evidence == (BASE,)
    decision.require()


@pytest.mark.parametrize(
    ("requirement", "signers", "expected"),
    [
        (Requirement(by=("other",)), {"other": SignerRule("other", signer("other").public_key)}, Reason.UNKNOWN_SIGNER),
        (Requirement(by=("ours",), log=True), {}, Reason.NOT_LOGGED),
        (Requirement(by=("ours",), timestamp=True), {}, Reason.NO_TIME),
        (Requirement(by=("ours",), max_age=timedelta(days=1)), {}, Reason.NO_TIME),
        (Requirement(by=("ours",), annotations={"a": "b"}), {}, Reason.ANNOTATIONS),
        (Requirement(SPDX, by=("ours",)), {}, Reason.WRONG_TYPE),
        (SIGNED, {"ours": SignerRule("ours", KEY, revoked=NOW)}, Reason.REVOKED),
        (SIGNED, {"ours": SignerRule("ours", KEY, not_after=NOW - timedelta(days=1))}, Reason.EXPIRED),
    ],
)
def test_each_objection_has_its_reason(requirement: Requirement, signers, expected: Reason) -> None:
    decision = decide(policy(requirement, **signers), Evidence(IMAGE, KEY, SIGNED.predicate_type))
    assert reasons(decision) == [expected]
    with pytest.raises(VerificationError):
        decision.require()


def test_a_proven_time_before_the_end_saves_a_signature() -> None:
    ended = policy(SIGNED, ours=SignerRule("ours", KEY, not_after=NOW - timedelta(hours=1)))
    revoked = policy(SIGNED, ours=SignerRule("ours", KEY, revoked=NOW - timedelta(hours=1)))
    old = Evidence(IMAGE, KEY, SIGNED.predicate_type, logged=LOGGED)
    assert decide(ended, old).accepted
    assert decide(revoked, old).accepted
    too_late = Evidence(IMAGE, KEY, SIGNED.predicate_type, timestamps=(NOW,))
    assert reasons(decide(ended, too_late)) == [Reason.EXPIRED]
    assert reasons(decide(revoked, too_late)) == [Reason.REVOKED]


def test_the_age_is_that_of_the_newest_proven_time() -> None:
    aged = policy(Requirement(by=("ours",), max_age=timedelta(hours=36)))
    assert decide(aged, Evidence(IMAGE, KEY, SIGNED.predicate_type, logged=LOGGED)).accepted
    older = Evidence(IMAGE, KEY, SIGNED.predicate_type, timestamps=(NOW - timedelta(days=2),))
    assert reasons(decide(aged, older)) == [Reason.TOO_OLD]


def test_an_identity_must_be_logged_unless_the_policy_says_otherwise() -> None:
    ci = SignerRule("ci", None, CI.subject, None, CI.issuer)
    unlogged = Evidence(IMAGE, CI, SIGNED.predicate_type, timestamps=(NOW,))
    assert reasons(decide(policy(Requirement(by=("ci",)), ci=ci), unlogged)) == [Reason.NOT_LOGGED]
    assert decide(policy(Requirement(by=("ci",), log=False), ci=ci), unlogged).accepted
    logged = Evidence(IMAGE, CI, SIGNED.predicate_type, logged=LOGGED)
    assert decide(policy(Requirement(by=("ci",)), ci=ci), logged).accepted


@pytest.mark.parametrize(
    ("subject", "issuer", "accepted"),
    [
        (CI.subject, CI.issuer, True),
        (CI.subject + "-evil", CI.issuer, False),
        ("https://evil/?" + CI.subject, CI.issuer, False),
        (CI.subject, "https://evil", False),
    ],
)
@pytest.mark.parametrize("by_pattern", [True, False])
def test_identities_match_as_a_whole(subject: str, issuer: str, accepted: bool, by_pattern: bool) -> None:
    import re

    pattern = re.compile(r"https://github\.com/o/r/w@refs/heads/main") if by_pattern else None
    ci = SignerRule("ci", None, "" if by_pattern else CI.subject, pattern, CI.issuer)
    found = Evidence(IMAGE, Identity(subject, issuer, {}), SIGNED.predicate_type, logged=LOGGED)
    assert decide(policy(Requirement(by=("ci",)), ci=ci), found).accepted is accepted


def test_one_signer_in_two_formats_is_one_signer() -> None:
    second = SignerRule("second", signer("second").public_key)
    two = policy(Requirement(by=("ours", "second"), count=2), second=second)
    twice = [Evidence(IMAGE, KEY, SIGNED.predicate_type, source=source) for source in (IMAGE, BASE)]
    assert reasons(decide(two, *twice)) == [Reason.TOO_FEW]
    assert decide(two, *twice, Evidence(IMAGE, second.key, SIGNED.predicate_type)).accepted


def test_scopes() -> None:
    amd64 = Digest.of(b"amd64")
    signed_index = Evidence(IMAGE, KEY, SIGNED.predicate_type)
    platforms = {"linux/amd64": Findings(amd64)}
    assert decide(policy(Requirement(by=("ours",), scope=Scope.INDEX)), signed_index, platforms=platforms).accepted
    for scope in (Scope.ALL, Scope.PLATFORMS):
        decision = decide(policy(Requirement(by=("ours",), scope=scope)), signed_index, platforms=platforms)
        assert [check.digest for check in decision.failures] == [amd64]


def test_a_manifest_named_by_its_digest_needs_no_other_platform_and_a_tag_does() -> None:
    signed = Evidence(IMAGE, KEY, SIGNED.predicate_type)
    on_index = Requirement(SPDX, by=("ours",), scope=Scope.INDEX)
    rules = replace(policy(SIGNED, on_index), rules=(ImageRule(("*",), (SIGNED, on_index), (AMD64, ARM64)),))
    assert decide(rules, signed, pinned=True).accepted
    assert reasons(decide(rules, signed)) == [Reason.PLATFORM_MISSING, Reason.PLATFORM_MISSING, None, Reason.WRONG_TYPE]
    assert not decide(policy(on_index), signed, pinned=True).accepted, "something must have been asked"


def test_what_lies_there_for_other_purposes_is_told_only_where_nothing_else_is() -> None:
    both = [Evidence(IMAGE, KEY, kind) for kind in (SIGNED.predicate_type, SPDX)]
    logged = decide(policy(Requirement(SPDX, by=("ours",), log=True)), *both)
    assert logged.lines() == [f"{IMAGE.short}: the spdxjson by ours is not in a trusted transparency log"]
    (line, detail) = decide(policy(Requirement(CYCLONEDX, by=("ours",))), *both).lines()
    assert line.endswith("there is no cyclonedx attestation; there is a signature, which is no cyclonedx")
    assert detail == "  there is a spdxjson, which is no cyclonedx"


def test_nothing_to_check_is_no_acceptance() -> None:
    assert not decide(policy()).accepted
    with pytest.raises(VerificationError, match="nothing was checked"):
        decide(policy()).require()


# -- provenance -----------------------------------------------------------------------------------------


def facts(**changes) -> BuildFacts:
    source = Source(
        changes.pop("url", "https://example.org/tree"),
        changes.pop("commit", "c" * 40),
        dirty=changes.pop("dirty", False),
    )
    given_facts = {
        "package": "linuxkit/getty",
        "tag": "v1",
        "platform": AMD64,
        "fingerprint": BASE,
        "source": source,
        "pkgtool_version": "1",
        "engine": "buildah",
        "engine_version": "1",
        "hermetic": True,
        "source_date_epoch": 1,
        **changes,
    }
    return BuildFacts(**given_facts)


STRICT = ProvenanceRule(
    builders=("https://pkgtool.dev/builder/local/v1",),
    source="https://example.org/tree.git",
    commits=("c" * 40,),
    clean=True,
    hermetic=True,
    dependencies_verified=True,
)


def proven(made: BuildFacts, expected: Expected = Expected(), **image) -> Decision:  # noqa: B008
    said = provenance(made, IMAGE)
    evidence = Evidence(IMAGE, KEY, PROVENANCE, said.predicate)
    rules = policy(Requirement(PROVENANCE, ("ours",), provenance=STRICT))
    return decide(rules, evidence, expected=expected, **image)


def test_provenance_that_says_all_it_must() -> None:
    decision = proven(facts(), Expected("r.example/linuxkit/getty", "v1"))
    assert decision.accepted
    assert decision.level == 1


@pytest.mark.parametrize(
    ("made", "expected", "words"),
    [
        (facts(url="https://evil.example/tree"), Expected(), "it was built from 'git+https://evil.example/tree'"),
        (facts(commit="d" * 40), Expected(), "it was built from the commit"),
        (facts(dirty=True), Expected(), "changes that are in no commit"),
        (facts(hermetic=False), Expected(), "its build steps had a network"),
        (facts(), Expected(tag="v2"), "it is of the tag 'v1'"),
        (facts(), Expected("r.example/linuxkit/sshd"), "it is of the package 'linuxkit/getty'"),
        (facts(), Expected("r.example/evillinuxkit/getty"), "it is of the package 'linuxkit/getty'"),
    ],
)
def test_provenance_that_says_something_else(made: BuildFacts, expected: Expected, words: str) -> None:
    decision = proven(made, expected)
    assert reasons(decision) == [Reason.CONTENT]
    assert words in decision.checks[0].message


def test_provenance_by_another_builder_or_of_another_type() -> None:
    said = dict(provenance(facts(), IMAGE).predicate)
    rules = policy(Requirement(PROVENANCE, ("ours",), provenance=STRICT))
    for predicate in (
        {**said, "runDetails": {"builder": {"id": "https://evil"}}},
        {**said, "buildDefinition": {**said["buildDefinition"], "buildType": "https://evil"}},
        {},
        {"buildDefinition": [], "runDetails": 1},
    ):
        assert reasons(decide(rules, Evidence(IMAGE, KEY, PROVENANCE, predicate))) == [Reason.CONTENT]


def test_dependencies_must_be_verified_too() -> None:
    made = facts(parents=(ParentImage("linuxkit/base:v1", BASE, "package"),))
    assert reasons(proven(made)) == [Reason.DEPENDENCY]
    bad = Decision("base", BASE, ())
    assert reasons(proven(made, dependencies={BASE: bad})) == [Reason.DEPENDENCY]
    good = decide(policy(SIGNED), Evidence(IMAGE, KEY, SIGNED.predicate_type))
    assert proven(made, dependencies={BASE: good}).accepted


def test_a_good_provenance_beside_a_bad_one_counts() -> None:
    rules = policy(Requirement(PROVENANCE, ("ours",), provenance=STRICT))
    pieces = [
        Evidence(IMAGE, KEY, PROVENANCE, provenance(made, IMAGE).predicate) for made in (facts(dirty=True), facts())
    ]
    assert decide(rules, *pieces).accepted


# -- output ---------------------------------------------------------------------------------------------


def test_a_decision_is_data() -> None:
    decision = decide(policy(SIGNED))
    document = json.loads(json.dumps(decision.document()))
    assert document == {
        "reference": "r.example/linuxkit/getty",
        "digest": str(IMAGE),
        "accepted": False,
        "slsaBuildLevel": 0,
        "checks": [
            {
                "digest": str(IMAGE),
                "what": "signature",
                "passed": False,
                "reason": "unsigned",
                "message": "there is no signature",
                "details": [],
            }
        ],
    }
    assert decision.lines() == [f"{IMAGE.short}: there is no signature"]


@given(
    st.lists(
        st.builds(
            Evidence,
            digest=st.just(IMAGE),
            signer=st.sampled_from([KEY, signer("other").public_key, CI]),
            predicate_type=st.sampled_from([SIGNED.predicate_type, SPDX, PROVENANCE]),
            annotations=st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy")),
        )
    ),
    st.booleans(),
)
def test_more_evidence_never_turns_yes_into_no(evidence: list[Evidence], log: bool) -> None:
    rules = policy(Requirement(by=("ours",), log=log, annotations={"a": "x"}))
    without = decide(rules, *evidence[:-1]).accepted
    assert decide(rules, *evidence).accepted >= without
    assert without is any(
        e.signer == KEY and e.predicate_type == SIGNED.predicate_type and e.annotations.get("a") == "x" and not log
        for e in evidence[:-1]
    )


# -- releases -------------------------------------------------------------------------------------------

FILE = b'{"release": "v1.2"}'
PACKAGE = ReleasedPackage("linuxkit/getty", "v1", IMAGE, {AMD64: BASE, ARM64: IMAGE})


def bundle_of(name: str, file: bytes = FILE) -> bytes:
    said = release(Release("v1.2", "https://example.org/tree", "c" * 40, (PACKAGE,), Digest.of(file)))
    payload = said.encode()
    key = signer(name)
    return Bundle(Envelope(payload, key.sign(pae(IN_TOTO, payload))), key.public_key.hint).encode()


def release_policy(count: int = 1) -> Policy:
    second = SignerRule("second", signer("second").public_key)
    by = ("ours", "second")[:count]
    signers = {"ours": SignerRule("ours", KEY), "second": second}
    return Policy("p", BASE, signers, (), Requirement(RELEASE, by, count))


def test_a_signed_release_file() -> None:
    assert verify_release("v1.2", FILE, [bundle_of("ours")], release_policy(), NOW).accepted
    both = [bundle_of("ours"), bundle_of("second")]
    assert verify_release("v1.2", FILE, both, release_policy(2), NOW).accepted


@pytest.mark.parametrize(
    ("file", "bundles", "count", "reason", "words"),
    [
        (FILE, [], 1, Reason.UNSIGNED, "there is no signature"),
        (FILE + b" ", [bundle_of("ours")], 1, Reason.REFUSED, "is not about this file"),
        (FILE, [bundle_of("stranger")], 1, Reason.REFUSED, "not by a trusted key"),
        (FILE, [bundle_of("ours")], 2, Reason.TOO_FEW, "only ours did"),
        (FILE, [b"{}"], 1, Reason.REFUSED, "not a sigstore bundle"),
    ],
)
def test_a_release_file_that_is_refused(file: bytes, bundles, count: int, reason: Reason, words: str) -> None:
    decision = verify_release("v1.2", file, bundles, release_policy(count), NOW)
    assert reasons(decision) == [reason]
    assert words in decision.checks[0].message


def test_a_policy_that_knows_no_releases() -> None:
    assert reasons(verify_release("v1.2", FILE, [], policy(SIGNED), NOW)) == [Reason.NO_RULE]
