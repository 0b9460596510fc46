"""What is said of inputs that no place served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pkgtool.errors import InputError, PkgtoolError
from pkgtool.inputs.artifact import Artifact
from pkgtool.inputs.places import Failure

_LISTED = 10


@dataclass(frozen=True, slots=True)
class Missed:
    """An artifact, and why each of its places failed."""

    artifact: Artifact
    failures: tuple[Failure, ...]

    @property
    def unreachable(self) -> bool:
        """Whether none of its hosts could be reached: a matter of the network, not of the input."""
        return bool(self.failures) and all(failure.unreachable for failure in self.failures)


def problems(results: Iterable[PkgtoolError | Missed]) -> Iterator[PkgtoolError]:
    """An error for each, but only one for all that a missing network accounts for."""
    cut_off: list[Missed] = []
    for result in results:
        if isinstance(result, PkgtoolError):
            yield result
        elif result.unreachable:
            cut_off.append(result)
        else:
            yield _nowhere(result.artifact, result.failures)
    if len(cut_off) == 1:
        yield _nowhere(cut_off[0].artifact, cut_off[0].failures)
    elif cut_off:
        yield _cut_off(cut_off)


def shortened(labels: Sequence[str]) -> list[str]:
    """Enough of a list to know what it is about, and how many there are besides."""
    more = [f"and {len(labels) - _LISTED} more"] if len(labels) > _LISTED else []
    return [*labels[:_LISTED], *more]


def _nowhere(artifact: Artifact, failures: Sequence[Failure]) -> InputError:
    count = len(failures)
    places = f"any of {count} places" if count > 1 else "its only place" if count else "anywhere: it has no URL"
    renew = f"pkgtool lock --update {artifact.name} {artifact.package}"
    if all(failure.gone for failure in failures):
        hint = f"it is gone; '{renew}' locks what is there now"
    else:
        hint = f"try again with 'pkgtool fetch {artifact.package}'; if it is gone for good, '{renew}' renews the lock"
    return InputError(
        f"{artifact.label} could not be fetched from {places}",
        details=[str(failure) for failure in failures],
        hint=hint,
    )


def _cut_off(missed: Sequence[Missed]) -> InputError:
    reasons = {failure.host: failure.reason for each in missed for failure in each.failures}
    labels = [each.artifact.label for each in missed]
    packages = sorted({each.artifact.package for each in missed})
    return InputError(
        f"{len(missed)} inputs could not be fetched: {' and '.join(sorted(reasons))} can't be reached",
        details=[*(f"{host}: {reason}" for host, reason in sorted(reasons.items())), *shortened(labels)],
        hint=f"is there a network? HTTPS_PROXY names a proxy, 'mirrors:' in pkgtool.yml places that can be reached; "
        f"then: pkgtool fetch {' '.join(packages)}",
    )
