"""A release, signed: the release file's bundle, and its steps as in-toto links with the layout that they follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pkgtool.errors import UsageError
from pkgtool.oci import files
from pkgtool.oci.registry.repository import Registry
from pkgtool.release import Release
from pkgtool.signing import verify
from pkgtool.signing.attestor import Attestor
from pkgtool.signing.intoto.layout import Functionaries, write_layout
from pkgtool.signing.intoto.steps import IMAGE, INPUTS, SIGNATURE, SOURCE, Record, Step, write_link
from pkgtool.signing.keys import Signer, open_public_key, open_signer, password_from
from pkgtool.signing.public_key import PublicKey
from pkgtool.signing.statements.claims import Release as ReleaseFacts
from pkgtool.signing.statements.claims import ReleasedPackage, release
from pkgtool.signing.statements.statement import SIGN, Statement
from pkgtool.values import Digest
from pkgtool.workflows.attestors import SigningOptions, link_key
from pkgtool.workflows.tree import Tree
from pkgtool.workflows.verify import BUNDLE_SUFFIX

LAYOUT_FILE = "root.layout"
LAYOUT_DAYS = 365
_NOTHING = Digest.of(b"")
"""What a package without inputs takes in."""


@dataclass(frozen=True, slots=True)
class Recording:
    """How to record a release: into which directory, and who else may do which step (files of public keys).

    `demanded` says that somebody asked for it: then it is an error if there is no key to do it with.
    """

    directory: Path
    functionaries: Mapping[Step, tuple[Path, ...]] = field(default_factory=dict)
    demanded: bool = False


def sign_release(found: Release, file: Path, source: str, attestor: Attestor) -> Path:
    """Write the bundle with the signed statement of a release beside its file; gives the bundle's path.

    One that is there already, says the same and is by the same signer stays.
    """
    facts = ReleaseFacts(
        name=found.name,
        source=source,
        commit=found.commit,
        packages=tuple(
            ReleasedPackage(
                p.repository, p.tag, p.index.digest, {image.platform: image.digest for image in p.images}, p.size
            )
            for p in found.packages
        ),
        file=Digest.of(found.encode()),
        file_name=file.name,
    )
    bundle = file.with_name(file.name + BUNDLE_SUFFIX)
    statement = release(facts)
    if not _is_signed(found, bundle, statement, attestor):
        files.write_atomic(bundle, attestor.attest(statement.encode()).encode())
    return bundle


def _is_signed(found: Release, bundle: Path, statement: Statement, attestor: Attestor) -> bool:
    if not bundle.is_file():
        return False
    evidence = verify.file(found.encode(), [bundle.read_bytes()], attestor.trust).evidence
    return any(attestor.made(each) and each.predicate == statement.predicate for each in evidence)


@dataclass(frozen=True, slots=True)
class Steps:
    """What is to be written down of a release, and by whom."""

    records: tuple[Record, ...]
    signer: Signer
    recording: Recording


def steps_of(
    found: Release, file: Path, tree: Tree, registry: Registry, signing: SigningOptions, recording: Recording
) -> Steps | None:
    """Look together what every step took and gave; nothing is written yet.

    None if an identity or a program signs, whom in-toto's links do not know, and nobody demanded links.
    Raises `UsageError` if they were demanded, or if an image is not signed with the key; `SigningError`.
    """
    key = link_key(signing, tree.workspace)
    if not key:
        if recording.demanded:
            raise UsageError("in-toto links are signed with a key", hint="--key FILE in place of whoever signs now")
        return None
    signer = open_signer(key, password_from(signing.password_file))
    return Steps(tuple(_records(found, file, tree, registry, signer)), signer, recording)


def record_release(found: Release, file: Path, steps: Steps) -> list[Path]:
    """Write the links of all steps and the layout, signed with the key; gives their paths. Raises `SigningError`."""
    signer, recording = steps.signer, steps.recording
    recording.directory.mkdir(parents=True, exist_ok=True)
    written = [write_link(record, signer, recording.directory) for record in steps.records]
    layout = recording.directory / LAYOUT_FILE
    write_layout(
        layout,
        {step: _functionaries(step, signer, recording) for step in Step},
        [signer],
        release_file=file.name,
        expires=datetime.now(UTC) + timedelta(days=LAYOUT_DAYS),
        readme=f"Release {found.name} of commit {found.commit}",
    )
    return [*written, layout]


def _functionaries(step: Step, signer: Signer, recording: Recording) -> Functionaries:
    others = [open_public_key(str(path)) for path in recording.functionaries.get(step, ())]
    keys: dict[PublicKey, None] = dict.fromkeys([*others] or [signer.public_key])
    return Functionaries(tuple(keys))


def _records(found: Release, file: Path, tree: Tree, registry: Registry, signer: Signer) -> list[Record]:
    """What each step took and gave, by name and digest."""
    sources, inputs, images, signatures = {}, {}, {}, {}
    for package in found.packages:
        sources[f"{SOURCE}/{package.name}"] = tree.fingerprints[package.name].digest
        inputs[f"{INPUTS}/{package.name}"] = _lock_digest(tree, package.name)
        images[f"{IMAGE}/{package.name}"] = package.index.digest
        signatures[f"{SIGNATURE}/{package.name}"] = _signature(
            registry, package.repository, package.index.digest, signer
        )
    return [
        Record(Step.SOURCE, products=sources),
        Record(Step.LOCK, materials=sources, products=inputs),
        Record(Step.BUILD, materials={**sources, **inputs}, products=images),
        Record(Step.SIGN, materials=images, products=signatures),
        Record(Step.PUSH, materials={**images, **signatures}, products={file.name: Digest.of(found.encode())}),
    ]


def _lock_digest(tree: Tree, name: str) -> Digest:
    package = tree.package(name)
    path = Path(tree.workspace.root) / package.lock_path
    return Digest.of(path.read_bytes()) if package.inputs and path.is_file() else _NOTHING


def _signature(registry: Registry, repository: str, index: Digest, signer: Signer) -> Digest:
    """The bundle with this key's signature over an index. Raises `UsageError` if it was not signed with the key."""
    from pkgtool.signing.verify.evidence import Trust

    found = verify.bundles(registry.repository(repository), index, Trust((signer.public_key,)), predicate_types=(SIGN,))
    sources = [piece.source for piece in found.evidence if piece.source]
    if not sources:
        raise UsageError(
            f"{repository}@{index.short}… is not signed with this key", hint="pkgtool sign with the same --key first"
        )
    return min(sources)
