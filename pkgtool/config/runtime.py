"""The runtime configuration of an image: build.yml's `config`, as the JSON of the label org.mobyproject.config.

The field names, their order and which empty ones are left out are those of LinuxKit's Go structs `ImageConfig`
(moby/config.go) and of the runtime-spec types inside it, so that the label's bytes are what LinuxKit writes.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ConfigDict, Field

from pkgtool.config.scalars import Boolean, Integer, Text, TextOrInteger
from pkgtool.config.schema import Strict

EMBEDDED = "."
"""The JSON name of an embedded Go struct: its fields appear among those of the outer one."""


def _as(name: str, json_name: str = "", *, default: Any = None, always: bool = False) -> Any:
    """A field called `name` in YAML and `json_name` in JSON.

    Go leaves out a pointer that is nil, and with `omitempty` also an empty value; the default here is that value.
    `always` marks fields without `omitempty`.
    """
    return Field(default=default, alias=name, json_schema_extra={"json": json_name or name, "always": always})


class Struct(Strict):
    """A Go struct: unset pointers and empty values are left out of its JSON."""

    model_config = ConfigDict(coerce_numbers_to_str=False)


class IDMapping(Struct):
    container_id: Integer = _as("containerid", "containerID", default=0, always=True)
    host_id: Integer = _as("hostid", "hostID", default=0, always=True)
    size: Integer = _as("size", default=0, always=True)


class Mount(Struct):
    destination: Text = _as("destination", default="", always=True)
    type: Text = _as("type", default="")
    source: Text = _as("source", default="")
    options: list[Text] = _as("options", default=[])
    uid_mappings: list[IDMapping] = _as("uidmappings", "uidMappings", default=[])
    gid_mappings: list[IDMapping] = _as("gidmappings", "gidMappings", default=[])


class Device(Struct):
    path: Text = _as("path", default="", always=True)
    type: Text = _as("type", default="", always=True)
    major: Integer = _as("major", default=0, always=True)
    minor: Integer = _as("minor", default=0, always=True)
    mode: Text = _as("mode", default="")


class DeviceRule(Struct):
    allow: Boolean = _as("allow", default=False, always=True)
    type: Text = _as("type", default="")
    major: Integer | None = _as("major")
    minor: Integer | None = _as("minor")
    access: Text = _as("access", default="")


class Memory(Struct):
    limit: Integer | None = _as("limit")
    reservation: Integer | None = _as("reservation")
    swap: Integer | None = _as("swap")
    kernel: Integer | None = _as("kernel")
    kernel_tcp: Integer | None = _as("kerneltcp", "kernelTCP")
    swappiness: Integer | None = _as("swappiness")
    disable_oom_killer: Boolean | None = _as("disableoomkiller", "disableOOMKiller")
    use_hierarchy: Boolean | None = _as("usehierarchy", "useHierarchy")
    check_before_update: Boolean | None = _as("checkbeforeupdate", "checkBeforeUpdate")


class CPU(Struct):
    shares: Integer | None = _as("shares")
    quota: Integer | None = _as("quota")
    burst: Integer | None = _as("burst")
    period: Integer | None = _as("period")
    realtime_runtime: Integer | None = _as("realtimeruntime", "realtimeRuntime")
    realtime_period: Integer | None = _as("realtimeperiod", "realtimePeriod")
    cpus: Text = _as("cpus", default="")
    mems: Text = _as("mems", default="")
    idle: Integer | None = _as("idle")


class Pids(Struct):
    limit: Integer = _as("limit", default=0, always=True)


class BlockDevice(Struct):
    major: Integer = _as("major", default=0, always=True)
    minor: Integer = _as("minor", default=0, always=True)


class WeightDevice(Struct):
    device: BlockDevice = _as("linuxblockiodevice", EMBEDDED, default=BlockDevice.model_construct())
    weight: Integer | None = _as("weight")
    leaf_weight: Integer | None = _as("leafweight", "leafWeight")


class ThrottleDevice(Struct):
    device: BlockDevice = _as("linuxblockiodevice", EMBEDDED, default=BlockDevice.model_construct())
    rate: Integer = _as("rate", default=0, always=True)


class BlockIO(Struct):
    weight: Integer | None = _as("weight")
    leaf_weight: Integer | None = _as("leafweight", "leafWeight")
    weight_device: list[WeightDevice] = _as("weightdevice", "weightDevice", default=[])
    throttle_read_bps: list[ThrottleDevice] = _as("throttlereadbpsdevice", "throttleReadBpsDevice", default=[])
    throttle_write_bps: list[ThrottleDevice] = _as("throttlewritebpsdevice", "throttleWriteBpsDevice", default=[])
    throttle_read_iops: list[ThrottleDevice] = _as("throttlereadiopsdevice", "throttleReadIOPSDevice", default=[])
    throttle_write_iops: list[ThrottleDevice] = _as("throttlewriteiopsdevice", "throttleWriteIOPSDevice", default=[])


class HugepageLimit(Struct):
    page_size: Text = _as("pagesize", "pageSize", default="", always=True)
    limit: Integer = _as("limit", default=0, always=True)


class InterfacePriority(Struct):
    name: Text = _as("name", default="", always=True)
    priority: Integer = _as("priority", default=0, always=True)


class Network(Struct):
    class_id: Integer | None = _as("classid", "classID")
    priorities: list[InterfacePriority] = _as("priorities", default=[])


class Rdma(Struct):
    hca_handles: Integer | None = _as("hcahandles", "hcaHandles")
    hca_objects: Integer | None = _as("hcaobjects", "hcaObjects")


class Resources(Struct):
    devices: list[DeviceRule] = _as("devices", default=[])
    memory: Memory | None = _as("memory")
    cpu: CPU | None = _as("cpu")
    pids: Pids | None = _as("pids")
    block_io: BlockIO | None = _as("blockio", "blockIO")
    hugepage_limits: list[HugepageLimit] = _as("hugepagelimits", "hugepageLimits", default=[])
    network: Network | None = _as("network")
    rdma: dict[str, Rdma] = _as("rdma", default={})
    unified: dict[str, Text] = _as("unified", default={})


class Interface(Struct):
    name: Text = _as("name", default="")
    add: Text = _as("add", default="")
    peer: Text = _as("peer", default="")
    create_in_root: Boolean = _as("createInRoot", default=False, always=True)


class Namespaces(Struct):
    cgroup: Text | None = _as("cgroup")
    ipc: Text | None = _as("ipc")
    mnt: Text | None = _as("mnt")
    net: Text | None = _as("net")
    pid: Text | None = _as("pid")
    user: Text | None = _as("user")
    uts: Text | None = _as("uts")


class Runtime(Struct):
    cgroups: list[Text] | None = _as("cgroups")
    mounts: list[Mount] | None = _as("mounts")
    mkdir: list[Text] | None = _as("mkdir")
    interfaces: list[Interface] | None = _as("interfaces")
    bind_ns: Namespaces = _as("bindNS", default=Namespaces.model_construct(), always=True)
    namespace: Text | None = _as("namespace")


class RuntimeConfig(Struct):
    """What `config:` in build.yml may hold."""

    capabilities: list[Text] | None = _as("capabilities")
    capabilities_add: list[Text] | None = _as("capabilities.add")
    ambient: list[Text] | None = _as("ambient")
    mounts: list[Mount] | None = _as("mounts")
    binds: list[Text] | None = _as("binds")
    binds_add: list[Text] | None = _as("binds.add")
    devices: list[Device] | None = _as("devices")
    tmpfs: list[Text] | None = _as("tmpfs")
    command: list[Text] | None = _as("command")
    env: list[Text] | None = _as("env")
    cwd: Text = _as("cwd", default="")
    net: Text = _as("net", default="")
    pid: Text = _as("pid", default="")
    ipc: Text = _as("ipc", default="")
    uts: Text = _as("uts", default="")
    userns: Text = _as("userns", default="")
    hostname: Text = _as("hostname", default="")
    readonly: Boolean | None = _as("readonly")
    masked_paths: list[Text] | None = _as("maskedPaths")
    readonly_paths: list[Text] | None = _as("readonlyPaths")
    uid: TextOrInteger | None = _as("uid")
    gid: TextOrInteger | None = _as("gid")
    additional_gids: list[TextOrInteger] | None = _as("additionalGids")
    no_new_privileges: Boolean | None = _as("noNewPrivileges")
    oom_score_adj: Integer | None = _as("oomScoreAdj")
    rootfs_propagation: Text | None = _as("rootfsPropagation")
    cgroups_path: Text | None = _as("cgroupsPath")
    resources: Resources | None = _as("resources")
    sysctl: dict[str, Text] | None = _as("sysctl")
    rlimits: list[Text] | None = _as("rlimits")
    uid_mappings: list[IDMapping] | None = _as("uidMappings")
    gid_mappings: list[IDMapping] | None = _as("gidMappings")
    annotations: dict[str, Text] | None = _as("annotations")
    runtime: Runtime | None = _as("runtime")


def label_value(config: RuntimeConfig) -> str:
    """The label's text, byte for byte what Go's json.Marshal gives for the same configuration."""
    text = json.dumps(_plain(config), ensure_ascii=False, separators=(",", ":"))
    return text.translate({ord(character): f"\\u{ord(character):04x}" for character in "&<>\u2028\u2029"})


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return _struct(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    return value


def _struct(struct: Struct) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, field in type(struct).model_fields.items():
        value = getattr(struct, name)
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        if extra["json"] == EMBEDDED:
            result.update(_plain(value))
            continue
        pointer = field.default is None
        if not extra["always"] and (value is None if pointer else not value):
            continue
        result[str(extra["json"])] = _plain(value)
    return result
