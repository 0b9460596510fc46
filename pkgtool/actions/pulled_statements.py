"""What others said about images that were taken from a registry: their verified statements, kept beside the images.

Who takes an image did not make it, and can say nothing better about it than who did. So the provenance and SBOMs that
the tree's policy accepted come along, are shown as what is known of the image, and are passed on as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from pkgtool.errors import StoreError, VerificationError
from pkgtool.oci import documents
from pkgtool.oci.store import Store
from pkgtool.oci.store.statements import TAKEN
from pkgtool.signing.statements.statement import CYCLONEDX, PROVENANCE, SPDX, Statement, Subject
from pkgtool.signing.verify.evidence import Evidence
from pkgtool.values import Digest

TYPES = (PROVENANCE, SPDX, CYCLONEDX)


def keep(store: Store, repository: str, claims: Iterable[Evidence]) -> None:
    """Write down what was claimed about images of `repository` (`linuxkit/getty`): the first of each type."""
    found: dict[Digest, dict[str, Evidence]] = {}
    for claim in claims:
        if claim.predicate_type in TYPES:
            found.setdefault(claim.digest, {}).setdefault(claim.predicate_type, claim)
    for digest, by_type in found.items():
        about = (Subject.of(digest, repository),)
        statements = [Statement(about, kind, by_type[kind].predicate) for kind in TYPES if kind in by_type]
        listed = [json.loads(each.encode()) for each in statements]
        store.statements.write(digest, TAKEN, documents.encode({"statements": listed}))


def read(store: Store, digest: Digest) -> list[Statement]:
    """The statements that came along with an image; none if it was made here, or taken without a policy.

    Raises `StoreError` if they are damaged.
    """
    content = store.statements.read(digest, TAKEN)
    if content is None:
        return []
    what = f"the statements kept about {digest}"
    try:
        return [Statement.parse(documents.encode(each), what=what) for each in json.loads(content)["statements"]]
    except (ValueError, KeyError, TypeError, AttributeError, VerificationError) as problem:
        raise StoreError(f"{what} are damaged: {problem}", hint="pull the image again") from problem
