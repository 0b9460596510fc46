"""The runtime configuration of an image: build.yml's `config`, as the JSON of the label org.mobyproject.config.

The field names, their order and which empty ones are left out are those of LinuxKit's Go structs `ImageConfig`
(moby/config.go) and of the runtime-spec types inside it, so that the label's bytes are what LinuxKit writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pkgtool.config.typed import (
    BOOLEAN,
    INTEGER,
    TEXT,
    TEXT_OR_INTEGER,
    Fields,
    Key,
    Kind,
    fields_of,
    list_of,
    map_of,
    unsigned,
)

_GO_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "&<>\u2028\u2029"}
_UINT16, _UINT32, _UINT64 = unsigned(16), unsigned(32), unsigned(64)
_ZEROS: Mapping[str, Any] = {INTEGER.name: 0, BOOLEAN.name: False, TEXT.name: ""}


@dataclass(frozen=True, slots=True)
class _GoField:
    """A field of a Go struct: its name in YAML and JSON, and when Go leaves it out."""

    key: Key
    json_name: str
    rule: str


def _pointer(name: str, kind: Kind, json_name: str = "", *, doc: str = "") -> _GoField:
    """Left out when absent."""
    return _GoField(Key(name, kind, doc), json_name or name, "pointer")


def _value(name: str, kind: Kind, json_name: str = "", *, doc: str = "") -> _GoField:
    """Left out when absent or empty (`omitempty` on a value)."""
    return _GoField(Key(name, kind, doc), json_name or name, "value")


def _always(name: str, kind: Kind, json_name: str = "") -> _GoField:
    """Never left out: absent, it is the zero of its type."""
    return _GoField(Key(name, kind), json_name or name, "always")


def _embedded(name: str, kind: Kind) -> _GoField:
    """An embedded struct: its fields appear among those of the outer one."""
    return _GoField(Key(name, kind), name, "embedded")


def _struct(*fields: _GoField) -> Kind:
    """A Go struct; what is read becomes the object that Go would write as JSON, in Go's order."""

    order = {field.key.name: position for position, field in enumerate(fields)}
    never_left_out = {field.key.name: None for field in fields if field.rule in ("always", "embedded")}

    def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name in sorted({**never_left_out, **values}, key=order.__getitem__):
            field = fields[order[name]]
            value: Any = values.get(name)
            if value is None and name in never_left_out:
                value = _zero(field.key.kind)
            if field.rule == "embedded":
                result.update(value)
            elif value or field.rule != "value":
                sort = isinstance(value, dict) and field.key.kind.fields is None
                result[field.json_name] = dict(sorted(value.items())) if sort else value
        return result

    keys = {field.key.name: (field.key.name, field.key) for field in fields}
    return Kind("a mapping", {"type": "object"}, fields=lambda: Fields(keys, as_json))


def _zero(kind: Kind) -> Any:
    return fields_of(kind).make({}) if kind.fields else _ZEROS[kind.name]


_ID_MAPPING = _struct(
    _always("containerid", _UINT32, "containerID"),
    _always("hostid", _UINT32, "hostID"),
    _always("size", _UINT32),
)
_MOUNT = _struct(
    _always("destination", TEXT),
    _value("type", TEXT),
    _value("source", TEXT),
    _value("options", list_of(TEXT)),
    _value("uidmappings", list_of(_ID_MAPPING), "uidMappings"),
    _value("gidmappings", list_of(_ID_MAPPING), "gidMappings"),
)
_DEVICE = _struct(
    _always("path", TEXT),
    _always("type", TEXT),
    _always("major", INTEGER),
    _always("minor", INTEGER),
    _value("mode", TEXT),
)
_DEVICE_RULE = _struct(
    _always("allow", BOOLEAN),
    _value("type", TEXT),
    _pointer("major", INTEGER),
    _pointer("minor", INTEGER),
    _value("access", TEXT),
)
_MEMORY = _struct(
    _pointer("limit", INTEGER),
    _pointer("reservation", INTEGER),
    _pointer("swap", INTEGER),
    _pointer("kernel", INTEGER),
    _pointer("kerneltcp", INTEGER, "kernelTCP"),
    _pointer("swappiness", _UINT64),
    _pointer("disableoomkiller", BOOLEAN, "disableOOMKiller"),
    _pointer("usehierarchy", BOOLEAN, "useHierarchy"),
    _pointer("checkbeforeupdate", BOOLEAN, "checkBeforeUpdate"),
)
_CPU = _struct(
    _pointer("shares", _UINT64),
    _pointer("quota", INTEGER),
    _pointer("burst", _UINT64),
    _pointer("period", _UINT64),
    _pointer("realtimeruntime", INTEGER, "realtimeRuntime"),
    _pointer("realtimeperiod", _UINT64, "realtimePeriod"),
    _value("cpus", TEXT),
    _value("mems", TEXT),
    _pointer("idle", INTEGER),
)
_PIDS = _struct(
    _always("limit", INTEGER),
)
_BLOCK_DEVICE = _struct(
    _always("major", INTEGER),
    _always("minor", INTEGER),
)
_WEIGHT_DEVICE = _struct(
    _embedded("linuxblockiodevice", _BLOCK_DEVICE),
    _pointer("weight", _UINT16),
    _pointer("leafweight", _UINT16, "leafWeight"),
)
_THROTTLE_DEVICE = _struct(
    _embedded("linuxblockiodevice", _BLOCK_DEVICE),
    _always("rate", _UINT64),
)
_BLOCK_IO = _struct(
    _pointer("weight", _UINT16),
    _pointer("leafweight", _UINT16, "leafWeight"),
    _value("weightdevice", list_of(_WEIGHT_DEVICE), "weightDevice"),
    _value("throttlereadbpsdevice", list_of(_THROTTLE_DEVICE), "throttleReadBpsDevice"),
    _value("throttlewritebpsdevice", list_of(_THROTTLE_DEVICE), "throttleWriteBpsDevice"),
    _value("throttlereadiopsdevice", list_of(_THROTTLE_DEVICE), "throttleReadIOPSDevice"),
    _value("throttlewriteiopsdevice", list_of(_THROTTLE_DEVICE), "throttleWriteIOPSDevice"),
)
_HUGEPAGE_LIMIT = _struct(
    _always("pagesize", TEXT, "pageSize"),
    _always("limit", _UINT64),
)
_INTERFACE_PRIORITY = _struct(
    _always("name", TEXT),
    _always("priority", _UINT32),
)
_NETWORK = _struct(
    _pointer("classid", _UINT32, "classID"),
    _value("priorities", list_of(_INTERFACE_PRIORITY)),
)
_RDMA = _struct(
    _pointer("hcahandles", _UINT32, "hcaHandles"),
    _pointer("hcaobjects", _UINT32, "hcaObjects"),
)
_RESOURCES = _struct(
    _value("devices", list_of(_DEVICE_RULE)),
    _pointer("memory", _MEMORY),
    _pointer("cpu", _CPU),
    _pointer("pids", _PIDS),
    _pointer("blockio", _BLOCK_IO, "blockIO"),
    _value("hugepagelimits", list_of(_HUGEPAGE_LIMIT), "hugepageLimits"),
    _pointer("network", _NETWORK),
    _value("rdma", map_of(_RDMA)),
    _value("unified", map_of(TEXT)),
)
_INTERFACE = _struct(
    _value("name", TEXT),
    _value("add", TEXT),
    _value("peer", TEXT),
    _always("createInRoot", BOOLEAN),
)
_NAMESPACES = _struct(
    _pointer("cgroup", TEXT),
    _pointer("ipc", TEXT),
    _pointer("mnt", TEXT),
    _pointer("net", TEXT),
    _pointer("pid", TEXT),
    _pointer("user", TEXT),
    _pointer("uts", TEXT),
)
_RUNTIME = _struct(
    _pointer("cgroups", list_of(TEXT)),
    _pointer("mounts", list_of(_MOUNT)),
    _pointer("mkdir", list_of(TEXT)),
    _pointer("interfaces", list_of(_INTERFACE)),
    _always("bindNS", _NAMESPACES),
    _pointer("namespace", TEXT),
)

RUNTIME_CONFIG = _struct(
    _pointer("capabilities", list_of(TEXT), doc="Linux capabilities, CAP_NET_ADMIN for example; all means every one."),
    _pointer("capabilities.add", list_of(TEXT), doc="Capabilities in addition to those that the image asks for."),
    _pointer("ambient", list_of(TEXT), doc="Ambient capabilities."),
    _pointer("mounts", list_of(_MOUNT), doc="Mounts as in the OCI runtime specification."),
    _pointer("binds", list_of(TEXT), doc="Bind mounts, SOURCE:DESTINATION[:OPTIONS]."),
    _pointer("binds.add", list_of(TEXT), doc="Bind mounts in addition to those that the image asks for."),
    _pointer("devices", list_of(_DEVICE), doc="Devices that the container gets; the path all stands for every one."),
    _pointer("tmpfs", list_of(TEXT), doc="Directories that are a tmpfs, PATH[:OPTIONS]."),
    _pointer("command", list_of(TEXT), doc="What runs, instead of the image's entry point and command."),
    _pointer("env", list_of(TEXT), doc="Environment variables, NAME=VALUE, instead of the image's."),
    _value("cwd", TEXT, doc="The working directory."),
    _value("net", TEXT, doc="The network namespace: host, none, new, or a path."),
    _value("pid", TEXT, doc="The process namespace: host, new, or a path."),
    _value("ipc", TEXT, doc="The IPC namespace: host, new, or a path."),
    _value("uts", TEXT, doc="The host name's namespace: host, new, or a path."),
    _value("userns", TEXT, doc="The user namespace: host, new, or a path."),
    _value("hostname", TEXT, doc="The host name, in a namespace of its own."),
    _pointer("readonly", BOOLEAN, doc="Whether the root file system may only be read."),
    _pointer("maskedPaths", list_of(TEXT), doc="Paths that the container can't see."),
    _pointer("readonlyPaths", list_of(TEXT), doc="Paths that the container can't change."),
    _pointer("uid", TEXT_OR_INTEGER, doc="The user that runs the command, by number or name."),
    _pointer("gid", TEXT_OR_INTEGER, doc="The group that runs the command, by number or name."),
    _pointer("additionalGids", list_of(TEXT_OR_INTEGER), doc="Further groups, by number or name."),
    _pointer("noNewPrivileges", BOOLEAN, doc="Whether set-user-id programs gain nothing."),
    _pointer(
        "oomScoreAdj", INTEGER, doc="How readily the kernel ends this container when memory runs out, -1000 to 1000."
    ),
    _pointer("rootfsPropagation", TEXT, doc="Mount propagation of the root file system: shared, slave, private."),
    _pointer("cgroupsPath", TEXT, doc="The control group, by path."),
    _pointer("resources", _RESOURCES, doc="Limits as in the OCI runtime specification."),
    _pointer("sysctl", map_of(TEXT), doc="Kernel parameters of the container's namespaces."),
    _pointer("rlimits", list_of(TEXT), doc="Resource limits, NAME,SOFT,HARD; unlimited is a value."),
    _pointer("uidMappings", list_of(_ID_MAPPING), doc="User ids of a user namespace."),
    _pointer("gidMappings", list_of(_ID_MAPPING), doc="Group ids of a user namespace."),
    _pointer("annotations", map_of(TEXT), doc="Annotations of the runtime's configuration."),
    _pointer("runtime", _RUNTIME, doc="What is set up before the container starts."),
)


def label_value(config: Mapping[str, Any]) -> str:
    """The label's text, byte for byte what Go's json.Marshal gives for the same configuration."""
    return json.dumps(config, ensure_ascii=False, separators=(",", ":")).translate(_GO_ESCAPES)
