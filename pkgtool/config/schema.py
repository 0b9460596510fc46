"""The schema of build.yml and pkgtool.yml: which keys there are, what type each has, what each means.

Only here does pydantic appear, and only at this boundary: what comes out is turned into `pkgtool.model` at once.
Keys, defaults and meanings up to `depends.docker-images` are LinuxKit's (`pkglib`); the others are ours. A key
with nothing after it keeps its default, but for `arches`, where it means "no platform": the package is skipped.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pkgtool.config.scalars import Boolean, Integer, Text

LINUXKIT_SOURCE = "https://github.com/linuxkit/linuxkit"


class Strict(BaseModel):
    """Unknown keys are errors; a key with nothing after it counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False, defer_build=True)

    null_means_empty: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict) or all(value is not None for value in data.values()):
            return data
        empty: dict[str, Any] = {
            key: [] for key, value in data.items() if value is None and key in cls.null_means_empty
        }
        return {**{key: value for key, value in data.items() if value is not None}, **empty}


class DockerImagesSchema(Strict):
    """Images, pinned by digest, that are laid into the build context as files."""

    list_: list[Text] = Field(default=[], alias="list", description="References with digests.")
    from_file: Text = Field(default="", alias="from-file", description="A file with one reference a line.")
    target: Text = Field(default="", description="One file in the context for all of them.")
    target_dir: Text = Field(default="", alias="target-dir", description="A directory with one file each.")


class DependsSchema(Strict):
    """What a package is built from, inside its own tree."""

    docker_images: DockerImagesSchema = Field(default=DockerImagesSchema.model_construct(), alias="docker-images")
    packages: list[Text] = Field(default=[], description="Packages this image is FROM, for the target platform.")
    tools: list[Text] = Field(default=[], description="Packages whose programs run during the build.")


class DebianSchema(Strict):
    """Debian packages by name; the lock pins every .deb of their closure."""

    suite: Text
    packages: list[Text] = Field(min_length=1)
    components: list[Text] = ["main"]


class FileSchema(Strict):
    """One file from a URL; it appears as inputs/files/NAME."""

    name: Text
    url: Text
    mirrors: list[Text] = []
    sha256: Text = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    signature: Text = ""
    keyring: Text = ""


class GitSchema(Strict):
    """One commit of a git repository; its files appear in inputs/git/NAME/."""

    name: Text
    url: Text
    ref: Text


class GoSchema(Strict):
    """The directory of a go.mod and go.sum; its modules appear as a module proxy in inputs/go/."""

    path: Text


class InputsSchema(Strict):
    """All that a package takes from outside the tree; pinned in inputs.lock."""

    debian: DebianSchema | None = None
    files: list[FileSchema] = []
    git: list[GitSchema] = []
    go: list[GoSchema] = []


class RootfsSchema(Strict):
    """A root file system made by mmdebstrap from the locked Debian packages, instead of a Dockerfile."""

    variant: Text = Field(default="essential", pattern="^(custom|essential|apt|required|minbase|extract)$")
    setup: Text = Field(default="", description="A script of the package that runs in the finished system.")
    exclude: list[Text] = Field(default=[], description="dpkg path patterns that are not unpacked.")
    env: list[Text] = []
    command: list[Text] = []


class BuildSchema(Strict):
    """build.yml: what a package is."""

    model_config = ConfigDict(title="build.yml")
    null_means_empty = frozenset(("arches",))

    image: Text = Field(description="The image's name without the organisation.")
    org: Text = Field(default="", description="The organisation; the tree's default, else linuxkit.")
    tag: Text = Field(default="", description="A template of the tag; {{.Hash}} is its only field and the default.")
    dockerfile: Text = "Dockerfile"
    arches: list[Text] | None = Field(default=None, description="Architectures; empty: the package is skipped.")
    extra_sources: list[Text] = Field(default=[], alias="extra-sources", description="SRC:DST, more of the tree.")
    gitrepo: Text = Field(default="", description="The repository that the label and SOURCE name.")
    network: Boolean = Field(default=False, description="Whether build steps get the network.")
    disable_cache: Boolean = Field(default=False, alias="disable-cache")
    build_args: list[Text] = Field(
        default=[], alias="buildArgs", description="K=V, K=@lkt:pkg:PATH, K_%=@lkt:pkgs:GLOB."
    )
    config: dict[str, Any] | None = Field(default=None, description="The runtime configuration of the image.")
    depends: DependsSchema = DependsSchema.model_construct()
    inputs: InputsSchema | None = None
    rootfs: RootfsSchema | None = None


class TreeSchema(Strict):
    """pkgtool.yml: the defaults of a tree."""

    model_config = ConfigDict(title="pkgtool.yml")

    org: Text = ""
    platforms: list[Text] = []
    packages: list[Text] = Field(default=["pkg/*", "."], description="Globs of package directories.")
    source: Text = Field(default="", description="The repository that labels name, where build.yml has no gitrepo.")
    source_date_epoch: Integer | None = Field(default=None, alias="source-date-epoch", ge=1)
    registry: Text = Field(default="", description="Where push and pull go: host[:port][/prefix].")
    insecure_registries: list[Text] = Field(default=[], alias="insecure-registries")
    store: Text = Field(default="", description="The local store; a relative path starts at this file.")
    mirrors: dict[str, Text] = Field(default={}, description="URL prefixes and what replaces them.")
    debian_mirror: Text = Field(default="http://deb.debian.org/debian", alias="debian-mirror")
    debian_snapshot: Text = Field(default="https://snapshot.debian.org/archive/debian", alias="debian-snapshot")
