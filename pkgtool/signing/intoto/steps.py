"""The steps of a release, what each takes and gives, and the links that record them.

    source  gives  source/PACKAGE          the files of the package in the repository
    lock    takes  source/…                gives  inputs/PACKAGE         everything from outside, by hash
    build   takes  source/…, inputs/…      gives  image/PACKAGE          the index of all platforms
    sign    takes  image/…                 gives  signature/PACKAGE      the bundle over the index
    push    takes  image/…, signature/…    gives  FILE                   the release file, which names every digest

Artifacts are names with a sha256. Only the last is a file that the verifier has beside the links.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pkgtool.errors import SigningError
from pkgtool.oci import files
from pkgtool.signing.intoto.keys import SignerAdapter
from pkgtool.signing.keys.signer import Signer
from pkgtool.values import Digest


class Step(StrEnum):
    """The steps in their order."""

    SOURCE = "source"
    LOCK = "lock"
    BUILD = "build"
    SIGN = "sign"
    PUSH = "push"


SOURCE, INPUTS, IMAGE, SIGNATURE = "source", "inputs", "image", "signature"
"""What the names of artifacts begin with."""

Artifacts = Mapping[str, Digest]


@dataclass(frozen=True, slots=True)
class Record:
    """What was done in one step: names of artifacts with their digests."""

    step: Step
    materials: Artifacts = field(default_factory=dict)
    products: Artifacts = field(default_factory=dict)
    byproducts: Mapping[str, str] = field(default_factory=dict)


def write_link(record: Record, signer: Signer, directory: Path) -> Path:
    """Sign what was done and write it under the name that in-toto looks for, `STEP.KEYID.link`.

    Raises `SigningError`.
    """
    from in_toto.models.link import FILENAME_FORMAT, Link

    link = Link(
        name=str(record.step),
        materials=_artifacts(record.materials),
        products=_artifacts(record.products),
        command=[],
        byproducts=dict(record.byproducts),
        environment={},
    )
    adapter = SignerAdapter(signer)
    path = directory / str(FILENAME_FORMAT.format(step_name=record.step, keyid=adapter.public_key.keyid))
    files.write_atomic(path, sealed(link, [adapter]))
    return path


def sealed(signable: Any, adapters: list[SignerAdapter]) -> bytes:
    """A link or layout in a DSSE envelope, signed by everybody given."""
    import json

    from in_toto.models.metadata import Envelope

    envelope = Envelope.from_signable(signable)
    for adapter in adapters:
        envelope.create_signature(adapter)
    return json.dumps(envelope.to_dict(), sort_keys=True).encode()


def _artifacts(artifacts: Artifacts) -> dict[str, dict[str, str]]:
    for name, digest in artifacts.items():
        if digest.algorithm != "sha256":
            raise SigningError(f"the artifact {name} of a release is known by its {digest.algorithm}, not by a sha256")
    return {name: {"sha256": digest.hex} for name, digest in sorted(artifacts.items())}
