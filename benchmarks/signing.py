"""Signing and verifying 50 packages on two platforms, against a shell loop of cosign over the same digests.

    python -m benchmarks.signing [--packages N] [--rounds N]

Everything runs on one registry on loopback, without a network, both sides in the same run: cosign once a digest
with its key file, as a release script does; `pkgtool sign` and `pkgtool verify --release` once, start-up included.
pkgtool writes both formats where cosign writes one, and checks the release file and its platforms as well. Must hold:
at most a fifth of cosign's time for each. Root is needed (a network namespace), or `unshare -rn` around it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pkgtool.oci.registry.describe import describe_published
from pkgtool.oci.registry.repository import Registry
from pkgtool.release import Release, ReleasedPackage
from pkgtool.signing import publish
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.keys import generate, open_signer
from pkgtool.workflows.release_record import sign_release
from tests.support import sid_tools
from tests.support.offline import no_network
from tests.support.registry.images import put_package
from tests.support.registry.registries import docker_registry

PASSWORD = "for the benchmark alone"
LIMIT = 0.2

RELEASE = "release.json"
POLICY = """\
signers: {ours: {key: ours.pub}}
images: [{platforms: [linux/amd64, linux/arm64]}]
release: {}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many is taken, on both sides")
    options = parser.parse_args()
    cosign = sid_tools.program("cosign")
    with tempfile.TemporaryDirectory(prefix="pkgtool-benchmark-") as directory, no_network():
        os.chdir(directory)
        with docker_registry(Path("registry").resolve()) as host:
            return compare(host, cosign, options.packages, options.rounds)


def compare(host: str, cosign: str, packages: int, rounds: int) -> int:
    pair = generate.generate(PASSWORD.encode())
    generate.write(pair, Path("ours.key"), Path("ours.pub"))
    Path("policy.yml").write_text(POLICY)
    results = []
    for part, ours, loop in (("signing", sign_ours, sign_loop), ("verifying", verify_ours, verify_loop)):
        mine, theirs = [], []
        for number in range(rounds):
            names = prepare(host, packages, f"{part}{number}", signed=part == "verifying")
            references = [reference for name in names for reference in references_of(host, name)]
            if part == "signing":  # each side signs images that nobody has signed yet
                other = prepare(host, packages, f"{part}{number}-cosign", signed=False)
                references = [reference for name in other for reference in references_of(host, name)]
            mine.append(timed(ours, host, names))
            theirs.append(timed(loop, cosign, references))
        results.append(report(part, packages, min(mine), min(theirs)))
    return 0 if all(results) else 1


def prepare(host: str, packages: int, prefix: str, *, signed: bool) -> list[str]:
    names = [f"linuxkit/{prefix}-{number}" for number in range(packages)]
    with Registry(host) as registry:
        for name in names:
            put_package(registry.repository(name), seed=name, tag="v1")
    if signed:
        sign_ours(host, names)
        write_release(host, names)
    return names


def references_of(host: str, name: str) -> list[str]:
    with Registry(host) as registry:
        repository = registry.repository(name)
        return [f"{repository.name}@{subject.digest}" for subject in publish.targets(repository, "v1")]


def environment() -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(Path.cwd()),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "COSIGN_PASSWORD": PASSWORD,
    }


def sign_ours(host: str, names: list[str]) -> None:
    pkgtool("sign", "--key", "ours.key", *(f"{host}/{name}:v1" for name in names))


def verify_ours(_host: str, names: list[str]) -> None:
    document = json.loads(pkgtool("verify", "--release", RELEASE, "--policy", "policy.yml", "--json"))
    signatures = [c for d in document["decisions"] for c in d["checks"] if c["what"] == "signature" and c["passed"]]
    assert len(signatures) == 3 * len(names), len(signatures)


def pkgtool(*arguments: str) -> bytes:
    program = Path(sys.executable).with_name("pkgtool")
    return subprocess.run([program, "-q", *arguments], check=True, env=environment(), stdout=subprocess.PIPE).stdout


def write_release(host: str, names: list[str]) -> None:
    """The release file of images, signed."""
    with Registry(host) as registry:
        packages = []
        for name in names:
            found = describe_published(registry.repository(name), "v1")
            assert found
            packages.append(ReleasedPackage.of(name.rpartition("/")[2], name, "v1", found))
    release = Release("v1", "c" * 40, host, tuple(packages))
    release.write(Path(RELEASE))
    signer = open_signer("ours.key", lambda _what: PASSWORD.encode())
    sign_release(release, Path(RELEASE), "https://example.org/tree", KeyAttestor(signer))


def sign_loop(cosign: str, references: list[str]) -> None:
    shell_loop(f"{cosign} sign --key ours.key --tlog-upload=false --use-signing-config=false --yes", references)


def verify_loop(cosign: str, references: list[str]) -> None:
    shell_loop(f"{cosign} verify --key ours.pub --insecure-ignore-tlog", references)


def shell_loop(command: str, references: list[str]) -> None:
    script = f'for reference; do {command} "$reference" >/dev/null 2>&1 || exit 1; done'
    subprocess.run(["sh", "-c", script, "loop", *references], check=True, env=environment())


def timed(action, *arguments) -> float:
    started = time.monotonic()
    action(*arguments)
    return time.monotonic() - started


def report(part: str, packages: int, ours: float, theirs: float) -> bool:
    ratio = ours / theirs
    verdict = "holds" if ratio <= LIMIT else "DOES NOT HOLD"
    sys.stdout.write(
        f"{part} {packages} packages, {packages * 3} digests: pkgtool {ours:.2f} s, cosign loop {theirs:.2f} s, "
        f"ratio {ratio:.3f} (at most {LIMIT}): {verdict}\n"
    )
    return ratio <= LIMIT


if __name__ == "__main__":
    sys.exit(main())
