"""Sign what is published: the tree's packages, or any image by reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from pkgtool.actions.sign import SignAction
from pkgtool.actions.site import Site
from pkgtool.cancel import Cancellation
from pkgtool.errors import PkgtoolError, UsageError
from pkgtool.events import Note, Sink
from pkgtool.executor import Action
from pkgtool.model import Workspace
from pkgtool.oci.registry.repository import RegistryRepository
from pkgtool.plan import StepKind, plan_sign
from pkgtool.signing import publish
from pkgtool.signing.attestor import Attestor
from pkgtool.values import Digest, ImageRef
from pkgtool.workflows.attestors import SigningOptions, open_attestor
from pkgtool.workflows.options import RunOptions
from pkgtool.workflows.planned import BuildReport, carry_out, make_plan
from pkgtool.workflows.registries import open_registry, require_registry
from pkgtool.workflows.tree import open_workspace, target_platforms

_JOBS = 8
"""How many images are signed at a time: what takes time is the registry's answer."""


@dataclass(frozen=True, slots=True)
class SignedImage:
    """An image that was signed by its reference: how many signatures are on it, and how many of them are new."""

    reference: str
    digest: Digest
    signatures: int
    new: int


def sign_packages(
    options: RunOptions,
    signing: SigningOptions,
    packages: Sequence[str],
    *,
    events: Sink,
    cancel: Cancellation,
) -> BuildReport:
    """Sign what the current tags of packages name in the registry, and attach the statements that the store has."""
    planned = make_plan(
        options,
        packages,
        platforms=lambda tree: target_platforms(options, tree.workspace, all_by_default=True),
    )
    tree = planned.tree
    name = require_registry(options, tree.workspace, [tree.fingerprints[n] for n in tree.names])
    with (
        closing(open_attestor(signing, tree.workspace)) as attestor,
        open_registry(name, tree.workspace, planned.store, events=events, cancel=cancel) as registry,
    ):
        events(Note("info", f"signing with {attestor.name}"))

        def actions(site: Site) -> Mapping[StepKind, Action]:
            return {StepKind.SIGN: SignAction(site, registry, attestor, signing.annotations)}

        plan = plan_sign(tree.names, tree.fingerprints)
        return carry_out(replace(planned, plan=plan), options, actions=actions, events=events, cancel=cancel)


def sign_references(
    options: RunOptions,
    signing: SigningOptions,
    references: Sequence[ImageRef],
    *,
    events: Sink,
    cancel: Cancellation,
) -> list[SignedImage]:
    """Sign images by reference (`host/repository:tag` or `…@digest`): the index and every manifest in it.

    Several at a time, given back in their order.
    """
    from concurrent.futures import ThreadPoolExecutor

    for reference in references:
        if not reference.host:
            raise UsageError(f"{reference} names no registry", hint="write it as HOST/REPOSITORY:TAG")
    workspace = workspace_or_none(options)
    with ExitStack() as stack:
        attestor = stack.enter_context(closing(open_attestor(signing, workspace)))
        events(Note("info", f"signing with {attestor.name}"))
        registries = {
            host: stack.enter_context(open_registry(host, workspace, None, events=events, cancel=cancel))
            for host in {reference.host for reference in references}
        }

        def sign(reference: ImageRef) -> SignedImage:
            cancel.check()
            return _sign(registries[reference.host].repository(reference.repository), reference, attestor, signing)

        pool = stack.enter_context(ThreadPoolExecutor(options.jobs or _JOBS, thread_name_prefix="sign"))
        return list(pool.map(sign, references))


def _sign(
    repository: RegistryRepository, reference: ImageRef, attestor: Attestor, signing: SigningOptions
) -> SignedImage:
    subjects = publish.targets(repository, reference.digest or reference.tag or "latest")
    made = [
        each
        for subject in subjects
        for each in publish.sign(repository, subject, attestor, annotations=signing.annotations)
    ]
    return SignedImage(str(reference), subjects[0].digest, len(made), sum(each.new for each in made))


def workspace_or_none(options: RunOptions) -> Workspace | None:
    """The tree that the current directory lies in, if there is a readable one: it only adds settings."""
    try:
        return open_workspace(options)[0]
    except PkgtoolError:
        return None
