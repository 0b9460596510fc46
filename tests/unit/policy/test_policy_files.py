"""policy.yml: what it may say, and that every mistake is shown where it stands."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkgtool.errors import ConfigError, ExitCode, PkgtoolError, Problems
from pkgtool.policy.model import Policy, Scope
from pkgtool.policy.reader import read_policy
from pkgtool.signing.statements.statement import PROVENANCE, REBUILD, SIGN
from tests.support.signing import signer

FULL = """\
signers:
  release: {key: release.pub, not-after: 2027-01-31}
  old: {key: old.pub, revoked: 2026-05-01}
  ci:
    identity-pattern: https://github.com/linuxkit/.*@refs/heads/main
    issuer: https://token.actions.githubusercontent.com
trusted-root: root.json
images:
  - match: ["registry.example/linuxkit/*"]
    signatures: {by: [release, ci], count: 2, max-age: 90d, log: yes, annotations: {stage: production}}
    platforms: [linux/amd64, arm64]
    attestations:
      - type: slsaprovenance1
        by: [ci]
        builder: [https://pkgtool.dev/builder/local/v1]
        level: 2
        source: https://github.com/linuxkit/linuxkit
        clean: true
        hermetic: true
        dependencies: verified
      - {type: rebuild, by: [release, ci], count: 2, on: platforms}
      - {type: https://example.org/audit/v1, on: index, timestamp: true}
  - signatures: {}
release: {by: [release]}
"""
ROOT = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


@pytest.fixture
def write(tmp_path: Path):
    (tmp_path / "release.pub").write_text(signer("release").public_key.pem)
    (tmp_path / "old.pub").write_text(signer("old").public_key.pem)
    (tmp_path / "root.json").write_text(ROOT)

    def write(text: str) -> Path:
        (tmp_path / "policy.yml").write_text(text)
        return tmp_path / "policy.yml"

    return write


def problems(path: Path) -> list[str]:
    """Each with its line and column."""
    with pytest.raises(PkgtoolError) as caught:
        read_policy(path)
    assert caught.value.exit_code is ExitCode.CONFIGURATION
    found = caught.value.problems if isinstance(caught.value, Problems) else [caught.value]
    return [f"{each.location.line}:{each.location.column} {each.message}" for each in found]


def test_a_whole_policy(write) -> None:
    policy = read_policy(write(FULL))
    assert isinstance(policy, Policy)
    first, second = policy.rules
    signatures, provenance, rebuild, audit = first.requirements
    assert (signatures.predicate_type, signatures.by, signatures.count) == (SIGN, ("release", "ci"), 2)
    assert (signatures.max_age, signatures.log) == (timedelta(days=90), True)
    assert signatures.annotations == {"stage": "production"}
    assert provenance.predicate_type == PROVENANCE
    assert provenance.provenance.dependencies_verified
    assert (provenance.provenance.level, provenance.provenance.clean, provenance.log) == (2, True, None)
    assert (rebuild.predicate_type, rebuild.scope, rebuild.provenance) == (REBUILD, Scope.PLATFORMS, None)
    assert (audit.predicate_type, audit.scope, audit.timestamp) == ("https://example.org/audit/v1", Scope.INDEX, True)
    assert [str(platform) for platform in first.platforms] == ["linux/amd64", "linux/arm64"]
    assert second.requirements[0].by == ("release", "old", "ci")
    assert policy.release.by == ("release",)
    assert policy.signers["release"].not_after == datetime(2027, 2, 1, tzinfo=UTC)
    assert policy.signers["old"].revoked == datetime(2026, 5, 1, tzinfo=UTC)
    assert len(policy.trust.keys) == 2
    assert policy.rule_for("registry.example/linuxkit/getty") is first
    assert policy.rule_for("elsewhere/getty") is second


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("signers:", "signer:", "1:1 unknown key 'signer'"),
        ("key: release.pub", "key: absent.pub", "2:18 the key "),
        ("key: old.pub", "key: release.pub", "3:8 the signers 'release' and 'old' have the same key"),
        ("key: old.pub", "key: root.json", "3:14 the key "),
        ("revoked: 2026-05-01", "revoked: soon", "3:32 'soon' is not a date such as 2027-01-31"),
        ("    issuer: https", "    key: https", "5:5 the signer 'ci' needs exactly one of key, identity"),
        ("identity-pattern: https://", "identity-pattern: (", "5:23 "),
        ("root.json", "absent.json", "7:15 the trusted root "),
        ("count: 2,", "count: 3,", "10:44 3 signers are needed and only 2 are named"),
        ("by: [release, ci], count", "by: [release, cj], count", "10:32 there is no signer 'cj'"),
        ("max-age: 90d", "max-age: soon", "10:56 'max-age' does not match"),
        ("arm64]", "arm-64]", "11:30 'arm-64' can't be part of a platform"),
        ("- type: slsaprovenance1", "- type: slsa", "13:15 unknown type 'slsa'"),
        ("type: rebuild,", "type: rebuild, clean: yes,", "21:32 'clean' can only be asked of slsaprovenance1"),
        ("level: 2", "level: 4", "16:16 SLSA has Build levels from 0 to 3, not 4"),
        ("on: platforms", "on: manifests", "21:58 'on' does not match"),
        ("dependencies: verified", "dependencies: maybe", "20:23 'dependencies' does not match"),
        ("clean: true", "clean: perhaps", "18:16 'clean' must be true or false, not 'perhaps'"),
    ],
)
def test_a_mistake_is_shown_where_it_stands(write, old: str, new: str, expected: str) -> None:
    assert old in FULL
    found = problems(write(FULL.replace(old, new, 1)))
    assert any(each.startswith(expected) for each in found), found


def test_all_mistakes_are_shown_at_once(write) -> None:
    text = FULL.replace("release.pub", "absent.pub").replace("count: 2,", "count: 9,").replace("arm64]", "arm-64]")
    assert len(problems(write(text))) == 4


def test_identities_need_a_trusted_root(write) -> None:
    (found,) = problems(write(FULL.replace("trusted-root: root.json\n", "")))
    assert "identities can't be checked without a trusted root" in found


def test_a_key_that_is_missing_is_no_identity(write) -> None:
    (found,) = problems(write("signers: {release: {key: absent.pub}}\nimages: [{signatures: {by: [release]}}]\n"))
    assert "absent.pub can't be read" in found


def test_a_missing_policy_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the policy can't be read") as caught:
        read_policy(tmp_path / "policy.yml")
    assert "--policy" in caught.value.hint


def test_an_empty_policy_accepts_nothing_because_it_is_none(write) -> None:
    for text in ("", "signers: {}\nimages: []\n", "images: [{}]\n", "signers: {a: {key: release.pub}}\n"):
        assert problems(write(text))


@given(st.binary(max_size=200))
def test_random_bytes_never_end_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("policy") / "policy.yml"
    path.write_bytes(content)
    with pytest.raises(PkgtoolError):
        read_policy(path)
