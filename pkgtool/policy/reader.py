"""policy.yml → `Policy`, with every mistake located."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pkgtool.config import typed
from pkgtool.config.yaml_reader import Source, locate
from pkgtool.errors import ConfigError, Location, PkgtoolError, Problems, raise_all
from pkgtool.policy.model import ImageRule, Policy, ProvenanceRule, Requirement, Scope, SignerRule
from pkgtool.policy.schema import (
    AttestationFile,
    ClaimFile,
    ImageRuleFile,
    PolicyFile,
    SignaturesFile,
    SignerFile,
)
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.statements.statement import PROVENANCE, RELEASE, SHORT_NAMES, predicate_type
from pkgtool.signing.trusted_root import TrustedRoot
from pkgtool.values import Digest, Platform

_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_ALWAYS = datetime.min.replace(tzinfo=UTC)
_PROVENANCE_KEYS = ("builder", "level", "source", "commit", "clean", "hermetic", "dependencies")

Path_ = Sequence[str | int]


def read_policy(path: Path) -> Policy:
    """Read a policy file, its keys and its trusted root.

    Raises `ConfigError`, or `Problems` with every mistake and its place.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise ConfigError(
            f"the policy can't be read: {problem.strerror}",
            location=Location(str(path)),
            hint="name another with --policy FILE",
        ) from problem
    source = Source(str(path), content)
    file, problems = typed.read(source, PolicyFile)
    if file is None:
        raise Problems(problems) if len(problems) > 1 else problems[0]
    return _Reader(source, path.parent).policy(file)


class _Reader:
    """Turns the file into the model and collects what the schema can't see."""

    def __init__(self, source: Source, directory: Path) -> None:
        self._source = source
        self._directory = directory
        self._problems: list[ConfigError] = []
        self._signers: dict[str, SignerRule] = {}

    def policy(self, written: PolicyFile) -> Policy:
        for name, signer in written.signers.items():
            self._signers[name] = self._signer(name, signer)
        self._find_twins()
        rules = tuple(self._rule(rule, ("images", position)) for position, rule in enumerate(written.images))
        release = self._release(written.release) if written.release else None
        root = self._root(written.trusted_root)
        if root is None and not written.trusted_root and any(not each.key_file for each in written.signers.values()):
            self._add(
                "identities can't be checked without a trusted root",
                ("signers",),
                hint="name the file: 'trusted-root: trusted_root.json'",
            )
        raise_all(self._problems)
        digest = Digest.of(self._source.content)
        return Policy(self._source.file, digest, self._signers, rules, release, root)

    def _add(self, message: str, path: Path_, hint: str | None = None) -> None:
        self._problems.append(ConfigError(message, location=locate(self._source, path), hint=hint))

    # -- signers ----------------------------------------------------------------------------------------

    def _signer(self, name: str, written: SignerFile) -> SignerRule:
        path = ("signers", name)
        kinds = [each for each in (written.key_file, written.identity, written.identity_pattern) if each]
        if len(kinds) != 1:
            self._add(f"the signer {name!r} needs exactly one of key, identity, identity-pattern", path)
        if not written.key_file and not written.issuer:
            self._add(f"the signer {name!r} is an identity and needs its issuer", path)
        return SignerRule(
            name,
            self._key(written.key_file, (*path, "key")) if written.key_file else None,
            written.identity,
            self._pattern(written.identity_pattern, (*path, "identity-pattern")),
            written.issuer,
            self._moment(written.not_after, (*path, "not-after"), end_of_day=True),
            _ALWAYS if written.revoked == "always" else self._moment(written.revoked, (*path, "revoked")),
        )

    def _key(self, name: str, path: Path_) -> PublicKey | None:
        file = self._directory / name
        try:
            return PublicKey.parse(file.read_bytes(), what=f"the key {file}")
        except OSError as problem:
            self._add(f"the key {file} can't be read: {problem.strerror}", path)
        except PkgtoolError as problem:
            self._add(problem.message, path, problem.hint)
        return None

    def _find_twins(self) -> None:
        """Two names for one key would count as two signers."""
        seen: dict[PublicKey, str] = {}
        for name, signer in self._signers.items():
            if signer.key is None:
                continue
            if signer.key in seen:
                self._add(f"the signers {seen[signer.key]!r} and {name!r} have the same key", ("signers", name))
            seen[signer.key] = name

    def _pattern(self, text: str, path: Path_) -> re.Pattern[str] | None:
        if not text:
            return None
        try:
            return re.compile(text)
        except re.error as problem:
            self._add(f"{text!r} is not a regular expression: {problem}", path)
            return None

    def _moment(self, text: str, path: Path_, *, end_of_day: bool = False) -> datetime | None:
        if not text:
            return None
        try:
            if len(text) == len("2026-01-01"):
                start = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
                return start + timedelta(days=1) if end_of_day else start
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._add(f"{text!r} is not a date such as 2027-01-31", path)
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    # -- rules ------------------------------------------------------------------------------------------

    def _rule(self, written: ImageRuleFile, path: Path_) -> ImageRule:
        platforms = []
        for position, text in enumerate(written.platforms):
            try:
                platforms.append(Platform.parse(text))
            except ValueError as problem:
                self._add(str(problem), (*path, "platforms", position))
        requirements = [
            self._signatures(written.signatures, (*path, "signatures")),
            *(
                self._attestation(each, (*path, "attestations", position))
                for position, each in enumerate(written.attestations)
            ),
        ]
        return ImageRule(tuple(written.match), tuple(requirements), tuple(platforms))

    def _signatures(self, written: SignaturesFile, path: Path_) -> Requirement:
        by = self._by(written, path)
        return Requirement(
            by=by,
            count=written.count,
            scope=Scope(written.on),
            log=written.log,
            timestamp=written.timestamp,
            max_age=_duration(written.max_age),
            annotations=dict(written.annotations or {}),
        )

    def _attestation(self, written: AttestationFile, path: Path_) -> Requirement:
        kind = predicate_type(written.type)
        if kind == written.type and "://" not in kind:
            self._add(f"unknown type {written.type!r}", (*path, "type"), f"one of {', '.join(SHORT_NAMES)}, or a URI")
        for key in _PROVENANCE_KEYS:
            if kind != PROVENANCE and getattr(written, key) is not None:
                self._add(f"{key!r} can only be asked of slsaprovenance1", (*path, key))
        if written.level is not None and written.level > 3:
            self._add(f"SLSA has Build levels from 0 to 3, not {written.level}", (*path, "level"))
        for position, commit in enumerate(written.commit or ()):
            if not _COMMIT.fullmatch(commit):
                self._add(f"{commit!r} is not a whole commit id", (*path, "commit", position), "git rev-parse REVISION")
        by = self._by(written, path)
        return Requirement(
            kind,
            by,
            written.count,
            Scope(written.on),
            written.log,
            written.timestamp,
            _duration(written.max_age),
            provenance=_provenance(written) if kind == PROVENANCE else None,
        )

    def _release(self, written: SignaturesFile) -> Requirement:
        by = self._by(written, ("release",))
        return Requirement(
            RELEASE, by, written.count, Scope.ALL, written.log, written.timestamp, _duration(written.max_age)
        )

    def _by(self, written: ClaimFile, path: Path_) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(written.by)) or tuple(self._signers)
        for position, name in enumerate(written.by):
            if name not in self._signers:
                known = ", ".join(self._signers)
                self._add(f"there is no signer {name!r}", (*path, "by", position), f"signers of this policy: {known}")
        if written.count > len(names):
            self._add(f"{written.count} signers are needed and only {len(names)} are named", (*path, "count"))
        return names

    def _root(self, name: str) -> TrustedRoot | None:
        if not name:
            return None
        try:
            return TrustedRoot.load(self._directory / name)
        except PkgtoolError as problem:
            self._add(problem.message, ("trusted-root",), problem.hint)
            return None


def _provenance(written: AttestationFile) -> ProvenanceRule:
    return ProvenanceRule(
        tuple(written.builder or ()),
        1 if written.level is None else written.level,
        written.source or "",
        tuple(written.commit or ()),
        bool(written.clean),
        bool(written.hermetic),
        written.dependencies == "verified",
    )


def _duration(text: str) -> timedelta | None:
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])}) if text else None
