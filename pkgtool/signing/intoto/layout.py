"""The layout: who may do which step, and that each takes exactly what another one gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pkgtool.errors import SigningError, VerificationError
from pkgtool.oci import files
from pkgtool.signing.intoto.keys import SignerAdapter, key_document
from pkgtool.signing.intoto.steps import IMAGE, INPUTS, SIGNATURE, SOURCE, Step, sealed
from pkgtool.signing.keys.signer import Signer
from pkgtool.signing.public_key import PublicKey


@dataclass(frozen=True, slots=True)
class Functionaries:
    """Who may do a step, and how many of them must have done it, each for himself."""

    keys: tuple[PublicKey, ...]
    threshold: int = 1


_TAKES: Mapping[Step, tuple[tuple[str, Step], ...]] = {
    Step.SOURCE: (),
    Step.LOCK: ((SOURCE, Step.SOURCE),),
    Step.BUILD: ((SOURCE, Step.SOURCE), (INPUTS, Step.LOCK)),
    Step.SIGN: ((IMAGE, Step.BUILD),),
    Step.PUSH: ((IMAGE, Step.BUILD), (SIGNATURE, Step.SIGN)),
}
_GIVES = {Step.SOURCE: SOURCE, Step.LOCK: INPUTS, Step.BUILD: IMAGE, Step.SIGN: SIGNATURE}


def write_layout(
    path: Path,
    functionaries: Mapping[Step, Functionaries],
    signers: Sequence[Signer],
    *,
    release_file: str,
    expires: datetime,
    readme: str = "",
) -> None:
    """Write the layout, signed by the owners of the release.

    Raises `SigningError` if a step has nobody, or fewer than must have done it.
    """
    layout = _layout(functionaries, release_file, expires, readme)
    files.write_atomic(path, sealed(layout, [SignerAdapter(signer) for signer in signers]))


def verify(layout: Path, keys: Sequence[PublicKey], links: Path) -> None:
    """What `in-toto-verify` does: the release file must lie in the current directory.

    Raises `VerificationError` with in-toto's reason.
    """
    from in_toto.exceptions import LinkNotFoundError, ThresholdVerificationError
    from in_toto.models.metadata import Metadata
    from in_toto.verifylib import in_toto_verify

    try:
        loaded = Metadata.load(str(layout))
        documents = {document["keyid"]: document for document in map(key_document, keys)}
        in_toto_verify(loaded, documents, link_dir_path=str(links))
    except (LinkNotFoundError, ThresholdVerificationError) as problem:
        raise VerificationError(
            f"a step of the release is missing or not by those who may do it: {problem}"
        ) from problem
    except Exception as problem:
        # The library's errors have no common ancestor, and none of them may pass for success.
        raise VerificationError(f"the release does not follow its layout: {problem}") from problem


def _layout(functionaries: Mapping[Step, Functionaries], release_file: str, expires: datetime, readme: str) -> Any:
    from in_toto.models.layout import Inspection, Layout

    keys = {}
    for who in functionaries.values():
        keys.update({document["keyid"]: document for document in map(key_document, who.keys)})
    steps = [_step(step, functionaries.get(step), release_file) for step in Step]
    inspection = Inspection(
        name="release-file",
        run=["test", "-f", release_file],
        expected_materials=[
            ["MATCH", release_file, "WITH", "PRODUCTS", "FROM", str(Step.PUSH)],
            ["DISALLOW", release_file],
            ["ALLOW", "*"],
        ],
    )
    when = expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Layout(keys=keys, steps=steps, inspect=[inspection], expires=when, readme=readme)


def _step(step: Step, who: Functionaries | None, release_file: str) -> Any:
    from in_toto.models.layout import Step as LayoutStep

    if who is None or len(who.keys) < who.threshold or who.threshold < 1:
        raise SigningError(f"the layout names too few who may do the step {step!r}")
    return LayoutStep(
        name=str(step),
        pubkeys=[key_document(key)["keyid"] for key in who.keys],
        threshold=who.threshold,
        expected_materials=_materials(step),
        expected_products=_products(step, release_file),
    )


def _materials(step: Step) -> list[list[str]]:
    """All that comes from another step must be equal to what that step gave, and there is nothing else.

    A MATCH rule takes what is equal out of the queue and says nothing of the rest: without the DISALLOW after it, a
    changed artifact would be let through by whatever rule follows.
    """
    rules = [["MATCH", f"{name}/*", "WITH", "PRODUCTS", "FROM", str(giver)] for name, giver in _TAKES[step]]
    return [*rules, ["DISALLOW", "*"]]


def _products(step: Step, release_file: str) -> list[list[str]]:
    given = f"{_GIVES[step]}/*" if step in _GIVES else release_file
    return [["ALLOW", given], ["DISALLOW", "*"]]
