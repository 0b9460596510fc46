"""The configuration of a canonical image: what the Dockerfile decided, and nothing of who built it, when or where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pkgtool.oci.documents import encode
from pkgtool.values import Digest, Platform

_DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ORDER = "User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal Healthcheck OnBuild Shell".split()
# Labels in which engines write themselves into the image.
_ENGINE_LABELS = ("io.buildah.", "com.docker.")


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What a canonical image is to say of itself. `epoch` is in seconds since 1970."""

    platform: Platform
    epoch: int
    title: str
    labels: Mapping[str, str] = field(default_factory=dict)


def timestamp(epoch: int) -> str:
    """A time as OCI documents write it (RFC 3339)."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical_config(built: Mapping[str, Any], spec: ImageSpec, diff_ids: Sequence[Digest]) -> bytes:
    """The bytes of an image configuration (OCI image-spec, config.md) from the one that an engine wrote."""
    created = timestamp(spec.epoch)
    document: dict[str, Any] = {"created": created, "architecture": spec.platform.arch, "os": spec.platform.os}
    if spec.platform.variant:
        document["variant"] = spec.platform.variant
    document["config"] = _runtime(built.get("config") or {}, spec.labels)
    document["rootfs"] = {"type": "layers", "diff_ids": [str(digest) for digest in diff_ids]}
    entry = {"created": created, "created_by": "pkgtool"}
    document["history"] = [*({**entry, "comment": "parent"} for _ in diff_ids[:-1]), {**entry, "comment": spec.title}]
    return encode(document)


def _runtime(built: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    kept = {key: value for key in _ORDER if (value := built.get(key))}
    environment = [str(variable) for variable in kept.get("Env", [])]
    if not any(variable.startswith("PATH=") for variable in environment):
        environment.insert(0, _DEFAULT_PATH)  # BuildKit adds it to images from scratch, buildah does not
    own = {k: v for k, v in (kept.get("Labels") or {}).items() if not k.startswith(_ENGINE_LABELS)}
    merged = dict(sorted({**own, **labels}.items()))
    kept.update({"Env": environment, "Labels": merged})
    kept.setdefault("WorkingDir", "/")
    result: dict[str, Any] = {}
    for key in _ORDER:
        if kept.get(key):
            value = kept[key]
            result[key] = dict(sorted(value.items())) if key in ("ExposedPorts", "Volumes") else value
    return result
