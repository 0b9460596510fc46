"""What is known of a build: the facts that a provenance statement is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pkgtool.values import Digest, Platform

LOCAL_BUILDER = "https://pkgtool.dev/builder/local/v1"
"""A build on somebody's own machine: the provenance says what happened, and only that person vouches for it."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Who built, as a URI that a policy can name, and the SLSA Build level that this way of building reaches.

    A local build is level 1, signed or not. Level 2 is for hosted platforms that sign with an identity of their own;
    level 3 asks that the build could not have forged its provenance, which a tool inside the build job can't promise.
    """

    id: str = LOCAL_BUILDER
    level: int = 1
    invocation: str = ""
    """The URI of the run, or another name that is unique for it."""


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A file or directory of the repository that stood beside the package's own: extra sources, a kernel's patches."""

    path: str
    destination: str
    """Where it stood in the build context."""
    id: str
    """Git's id of what was really there."""
    mode: str = ""
    """Git's mode of a file (`100644`, …); empty for a directory."""


@dataclass(frozen=True, slots=True)
class Source:
    """The state of the repository that was built. `tree` is what was really there; if `dirty`, the commit's differs."""

    url: str
    commit: str
    tree: str = ""
    path: str = ""
    dirty: bool = False
    parts: tuple[SourcePart, ...] = ()
    dirty_submodules: tuple[tuple[str, str], ...] = ()
    """Paths of changed submodules, each with the id of what was really there."""


@dataclass(frozen=True, slots=True)
class Material:
    """Something from outside that went into the build, pinned: a .deb, an archive, a git commit, a Go module."""

    uri: str
    """A URL or a package URL (purl)."""
    digests: Mapping[str, str]
    """Algorithm → hexadecimal, as in-toto names them: sha256, sha512, gitCommit, gitTree, goModH1, …"""
    name: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParentImage:
    """An image of the same tree, or from elsewhere, that this one was built from or with."""

    reference: str
    digest: Digest
    role: str
    """`package`, `tool` or `reference`, as in `pkgtool.model.Role`."""
    platform: Platform | None = None
    package: str = ""
    """Its name in the tree."""
    content_hash: str = ""
    """What its tag is made from."""


@dataclass(frozen=True, slots=True)
class BuildFacts:
    """All that determined an image, and how the run went."""

    package: str
    """`linuxkit/getty`."""
    tag: str
    name: str = field(default="", kw_only=True)
    """The package's name in its tree: `getty`."""
    platform: Platform
    fingerprint: Digest
    source: Source
    pkgtool_version: str
    engine: str
    """`buildah`, `docker`, …"""
    engine_version: str
    hermetic: bool
    """Whether no step of the build had a network."""
    source_date_epoch: int
    builder: Builder = Builder()
    arguments: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    """What was decided outside of the package's own files: by pkgtool.yml, the command line, a certificate."""
    image_format: str = ""
    """The version of the rules by which images are made canonical."""
    materials: tuple[Material, ...] = ()
    parents: tuple[ParentImage, ...] = ()
    started: datetime | None = None
    finished: datetime | None = None
    log: Digest | None = None


def builder_from_environment(environment: Mapping[str, str]) -> Builder:
    """Who builds here: GitHub's hosted runners, or somebody's own machine.

    A self-hosted runner is somebody's own machine, whatever the job says.
    """
    workflow = environment.get("GITHUB_WORKFLOW_REF", "")
    if not workflow:
        return Builder()
    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    repository, run = environment.get("GITHUB_REPOSITORY", ""), environment.get("GITHUB_RUN_ID", "")
    attempt = environment.get("GITHUB_RUN_ATTEMPT", "1")
    hosted = environment.get("RUNNER_ENVIRONMENT") == "github-hosted"
    return Builder(
        f"{server}/{workflow}",
        2 if hosted else 1,
        f"{server}/{repository}/actions/runs/{run}/attempts/{attempt}",
    )
