"""Steps and plans: frozen data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from pkgtool.oci.store.memo import MemoRecord
from pkgtool.values import ImageRef, Platform


class StepKind(StrEnum):
    """What a step does."""

    FETCH = "fetch"
    """Bring a package's locked inputs into the store."""
    BUILD = "build"
    """Make one package's image for one platform."""
    PULL = "pull"
    """Take one package's image for one platform from the registry, which has it under the tag."""
    ASSEMBLE = "assemble"
    """Make a package's index and set its references in the store."""
    PUSH = "push"
    """Publish a package's images and index."""
    SIGN = "sign"
    """Sign what was published, and attach the signed statements about it."""


IMAGE_KINDS = (StepKind.BUILD, StepKind.PULL)
"""The steps that bring an image into the store."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, after the steps that it `needs`.

    `reason` says for people why it is in the plan. A step that is `done` has nothing to do: what it would make is
    there (`known`). `seconds` is how long it took the last time, 0 if nobody knows.
    """

    id: str
    kind: StepKind
    package: str
    platform: Platform | None
    reason: str
    needs: tuple[str, ...] = ()
    done: bool = False
    key: str = ""
    reference: ImageRef | None = None
    known: MemoRecord | None = None
    seconds: float = 0.0

    @property
    def title(self) -> str:
        """Package and platform, for people."""
        return f"{self.package} {self.platform}" if self.platform else self.package


@dataclass(frozen=True, slots=True)
class Skipped:
    """A package that was asked for and is not in the plan, and why."""

    package: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in an order in which they can be done one by one, and what was left out."""

    steps: tuple[Step, ...]
    skipped: tuple[Skipped, ...] = ()
    by_id: dict[str, Step] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.by_id.update({step.id: step for step in self.steps})

    def to_do(self) -> Iterator[Step]:
        """The steps that are not done."""
        return (step for step in self.steps if not step.done)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to be done."""
        return next(self.to_do(), None) is None
