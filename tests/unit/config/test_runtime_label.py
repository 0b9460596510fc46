"""The label org.mobyproject.config is, byte for byte, what LinuxKit's Go program writes.

The expectations were written down from LinuxKit's structs `ImageConfig` and `Runtime` (moby/config.go) and those of
runtime-spec 1.2 inside them: field order, names, `omitempty`, and the escaping of Go's encoding/json.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool.config.runtime import RUNTIME_CONFIG
from pkgtool.config.typed import Kind, fields_of
from tests.support.configuration import package, package_problems


def label(tmp_path: Path, config: str) -> str:
    return package(tmp_path, f"image: p\nconfig: {config}\n").runtime_config


SCALARS_AND_LISTS = """
  runtime: {namespace: ns, bindNS: {uts: u, user: u, pid: p, net: n, mnt: m, ipc: i, cgroup: c}, mkdir: [/a],
            interfaces: [{createInRoot: yes, peer: p, add: a, name: n}], mounts: [{destination: /m}], cgroups: [c]}
  annotations: {b: 2, a: 1}
  gidMappings: [{size: 3, hostid: 2, containerid: 1}]
  uidMappings: [{}]
  rlimits: ["nofile,1,1"]
  sysctl: {net.b: 1, net.a: yes}
  cgroupsPath: /c
  rootfsPropagation: shared
  oomScoreAdj: -5
  noNewPrivileges: no
  additionalGids: [1, wheel, "2"]
  gid: 0
  uid: "0"
  readonlyPaths: [/r]
  maskedPaths: []
  readonly: true
  hostname: h
  userns: host
  uts: host
  ipc: host
  pid: host
  net: host
  cwd: /
  env: [A=1]
  command: [/bin/sh]
  tmpfs: [/tmp]
  devices: [{minor: 1, major: 4, type: c, path: /dev/tty1, mode: 0666}, {path: all, type: b}]
  binds.add: [/d:/d]
  binds: [/c:/c]
  mounts: [{options: [rw, bind], source: s, type: bind, destination: /x, gidmappings: [{}], uidmappings: []}]
  ambient: [CAP_B]
  capabilities.add: [CAP_A]
  capabilities: [all]
"""
SCALARS_AND_LISTS_AS_JSON = (
    '{"capabilities":["all"],"capabilities.add":["CAP_A"],"ambient":["CAP_B"],'
    '"mounts":[{"destination":"/x","type":"bind","source":"s","options":["rw","bind"],'
    '"gidMappings":[{"containerID":0,"hostID":0,"size":0}]}],'
    '"binds":["/c:/c"],"binds.add":["/d:/d"],'
    '"devices":[{"path":"/dev/tty1","type":"c","major":4,"minor":1,"mode":"0666"},'
    '{"path":"all","type":"b","major":0,"minor":0}],'
    '"tmpfs":["/tmp"],"command":["/bin/sh"],"env":["A=1"],"cwd":"/","net":"host","pid":"host","ipc":"host",'
    '"uts":"host","userns":"host","hostname":"h","readonly":true,"maskedPaths":[],"readonlyPaths":["/r"],'
    '"uid":"0","gid":0,"additionalGids":[1,"wheel","2"],"noNewPrivileges":false,"oomScoreAdj":-5,'
    '"rootfsPropagation":"shared","cgroupsPath":"/c",'
    '"sysctl":{"net.a":"yes","net.b":"1"},"rlimits":["nofile,1,1"],'
    '"uidMappings":[{"containerID":0,"hostID":0,"size":0}],"gidMappings":[{"containerID":1,"hostID":2,"size":3}],'
    '"annotations":{"a":"1","b":"2"},'
    '"runtime":{"cgroups":["c"],"mounts":[{"destination":"/m"}],"mkdir":["/a"],'
    '"interfaces":[{"name":"n","add":"a","peer":"p","createInRoot":true}],'
    '"bindNS":{"cgroup":"c","ipc":"i","mnt":"m","net":"n","pid":"p","user":"u","uts":"u"},"namespace":"ns"}}'
)
RESOURCES = """
  resources:
    unified: {memory.max: 5}
    rdma: {mlx: {hcaobjects: 2, hcahandles: 1}, other: ~}
    network: {priorities: [{priority: 1, name: eth0}], classid: 7}
    hugepagelimits: [{limit: 1, pagesize: 2MB}]
    blockio: {throttlewriteiopsdevice: [{linuxblockiodevice: {}}], throttlereadiopsdevice: [{rate: 4}],
              throttlewritebpsdevice: [{rate: 3}], throttlereadbpsdevice: [],
              weightdevice: [{leafweight: 2, weight: 1, linuxblockiodevice: {minor: 0, major: 8}}],
              leafweight: 0, weight: 10}
    pids: {limit: -1}
    cpu: {idle: 1, mems: "0", cpus: 0-1, realtimeperiod: 6, realtimeruntime: 5, period: 4, burst: 3, quota: -1,
          shares: 2}
    memory: {checkbeforeupdate: true, usehierarchy: no, disableoomkiller: yes, swappiness: 60, kerneltcp: 5, kernel: 4,
             swap: 3, reservation: 2, limit: 1}
    devices: [{access: rwm, minor: 1, major: 0, type: a, allow: true}, {}]
"""
RESOURCES_AS_JSON = (
    '{"resources":{'
    '"devices":[{"allow":true,"type":"a","major":0,"minor":1,"access":"rwm"},{"allow":false}],'
    '"memory":{"limit":1,"reservation":2,"swap":3,"kernel":4,"kernelTCP":5,"swappiness":60,"disableOOMKiller":true,'
    '"useHierarchy":false,"checkBeforeUpdate":true},'
    '"cpu":{"shares":2,"quota":-1,"burst":3,"period":4,"realtimeRuntime":5,"realtimePeriod":6,"cpus":"0-1","mems":"0","idle":1},'
    '"pids":{"limit":-1},'
    '"blockIO":{"weight":10,"leafWeight":0,"weightDevice":[{"major":8,"minor":0,"weight":1,"leafWeight":2}],'
    '"throttleWriteBpsDevice":[{"major":0,"minor":0,"rate":3}],"throttleReadIOPSDevice":[{"major":0,"minor":0,"rate":4}],'
    '"throttleWriteIOPSDevice":[{"major":0,"minor":0,"rate":0}]},'
    '"hugepageLimits":[{"pageSize":"2MB","limit":1}],'
    '"network":{"classID":7,"priorities":[{"name":"eth0","priority":1}]},'
    '"rdma":{"mlx":{"hcaHandles":1,"hcaObjects":2},"other":{}},'
    '"unified":{"memory.max":"5"}}}'
)


def test_every_field_in_gos_order(tmp_path: Path) -> None:
    assert label(tmp_path, SCALARS_AND_LISTS) == SCALARS_AND_LISTS_AS_JSON


def test_every_resource_in_gos_order(tmp_path: Path) -> None:
    assert label(tmp_path, RESOURCES) == RESOURCES_AS_JSON


def test_the_two_documents_above_use_every_key() -> None:
    used = SCALARS_AND_LISTS + RESOURCES
    assert [name for name in _names(RUNTIME_CONFIG) if f"{name}:" not in used] == []


def _names(kind: Kind) -> set[str]:
    found: set[str] = set()
    for name, (_, key) in fields_of(kind).keys.items():
        inner = key.kind.item or key.kind
        found |= {name} | (_names(inner) if inner.fields else set())
    return found


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", ""),
        ("~", ""),
        ("{}", "{}"),
        ("{devices: [{mode: 0666}]}", '{"devices":[{"path":"","type":"","major":0,"minor":0,"mode":"0666"}]}'),
        ("{devices: [{mode: 438}]}", '{"devices":[{"path":"","type":"","major":0,"minor":0,"mode":"438"}]}'),
        ("{oomScoreAdj: 0666}", '{"oomScoreAdj":438}'),
        ("{oomScoreAdj: 0o17}", '{"oomScoreAdj":15}'),
        ("{oomScoreAdj: 0x1_f}", '{"oomScoreAdj":31}'),
        ("{oomScoreAdj: +5}", '{"oomScoreAdj":5}'),
        ("{oomScoreAdj: -0b11}", '{"oomScoreAdj":-3}'),
        ("{uid: 010, gid: '010'}", '{"uid":8,"gid":"010"}'),
        ("{uid: yes, gid: root}", '{"uid":"yes","gid":"root"}'),
        ("{hostname: yes, cwd: 12:30}", '{"cwd":"12:30","hostname":"yes"}'),
        ("{net: 0x1f, pid: 1e3}", '{"net":"0x1f","pid":"1e3"}'),
        ("{readonly: 'yes'}", '{"readonly":true}'),
        ("{readonly: , binds: , cwd: , uid: ~, resources: , runtime: }", "{}"),
        ("{cwd: '', net: \"\"}", "{}"),
        ("{binds: [], capabilities: []}", '{"capabilities":[],"binds":[]}'),
        ("{binds: [/a, ~, null, '', '~']}", '{"binds":["/a","","~"]}'),
        ("{sysctl: {}}", '{"sysctl":{}}'),
        ("{sysctl: {a: ~, b: , c: '~'}}", '{"sysctl":{"a":"","b":"","c":"~"}}'),
        ("{devices: [~, {}]}", '{"devices":[{"path":"","type":"","major":0,"minor":0}]}'),
        ("{runtime: {}}", '{"runtime":{"bindNS":{}}}'),
        ("{runtime: {bindNS: {net: ''}}}", '{"runtime":{"bindNS":{"net":""}}}'),
        ("{resources: {memory: {}, blockio: {}}}", '{"resources":{"memory":{},"blockIO":{}}}'),
        ("{resources: {unified: {}, rdma: {}, devices: []}}", '{"resources":{}}'),
        ("{resources: {pids: {}}}", '{"resources":{"pids":{"limit":0}}}'),
        ("{annotations: {B: 1, a: 2, _: 3}}", '{"annotations":{"B":"1","_":"3","a":"2"}}'),
        ("{env: ['<a>&b', \"\\u2028\\u2029\", 'é😀']}", '{"env":["\\u003ca\\u003e\\u0026b","\\u2028\\u2029","é😀"]}'),
        ('{env: ["\\"\\\\/", "\\t\\n\\r"]}', '{"env":["\\"\\\\/","\\t\\n\\r"]}'),
        ('{env: ["\\b\\f\\x01\\x7f"]}', '{"env":["\\b\\f\\u0001\x7f"]}'),
    ],
)  # fmt: skip
def test_go_json(tmp_path: Path, config: str, expected: str) -> None:
    assert label(tmp_path, config) == expected


@pytest.mark.parametrize(
    "config",
    [
        "{uid: 1.0}", "{uid: true}", "{uid: 08}", "{uid: 2020-01-01}", "{uid: .inf}", "{uid: [1]}",
        "{uid: 99999999999999999999}", "{additionalGids: [~]}", "{oomScoreAdj: 1.5}", "{oomScoreAdj: '5'}",
        "{oomScoreAdj: 9223372036854775808}", "{uidMappings: [{size: -1}]}", "{uidMappings: [{size: 4294967296}]}",
        "{resources: {blockio: {weight: 65536}}}", "{resources: {cpu: {shares: -1}}}", "{readonly: 'true'}",
        "{Cwd: /}", "{cwd: !!binary aGk=}", "{mounts: [{Destination: /x}]}", "{binds: /a:/a}", "{sysctl: [a]}",
    ],
)  # fmt: skip
def test_what_go_would_read_otherwise_or_not_at_all_is_refused(tmp_path: Path, config: str) -> None:
    assert len(package_problems(tmp_path, f"image: p\nconfig: {config}\n")) == 1
