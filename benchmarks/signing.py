"""Signing and verifying 50 packages on two platforms, against a shell loop of cosign over the same digests.

    python -m benchmarks.signing [--packages N] [--rounds N]

Everything runs on one registry on loopback, without a network, both sides in the same run: cosign once a digest
with its key file, as a release script does; pkgtool once in a fresh process, start-up included. pkgtool writes both
formats where cosign writes one. Must hold: at most a fifth of cosign's time for each. Root is needed (a network
namespace), or `unshare -rn` around it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pkgtool.oci.registry.repository import Registry
from pkgtool.signing import publish
from pkgtool.signing.keys import generate
from tests.support import sid_tools
from tests.support.offline import no_network
from tests.support.registry.images import put_package
from tests.support.registry.registries import docker_registry

PASSWORD = "for the benchmark alone"
LIMIT = 0.2

SIGN = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pkgtool.oci.registry.repository import Registry
from pkgtool.signing import publish
from pkgtool.signing.attestor import KeyAttestor
from pkgtool.signing.keys import open_signer
host, key, *names = sys.argv[1:]
attestor = KeyAttestor(open_signer(key))
with Registry(host) as registry, ThreadPoolExecutor(8) as pool:
    def sign(name):
        repository = registry.repository(name)
        for subject in publish.targets(repository, "v1"):
            publish.sign(repository, subject, attestor)
    list(pool.map(sign, names))
"""

VERIFY = """
import sys
from pathlib import Path
from pkgtool.oci.registry.repository import Registry
from pkgtool.policy.reader import read_policy
from pkgtool.policy.verify import Request, Verifier
host, policy, *names = sys.argv[1:]
checked = 0
with Registry(host) as registry:
    requests = [Request(registry.repository(name), "v1") for name in names]
    for _, decision in Verifier(read_policy(Path(policy))).verify_all(requests):
        decision.require()
        checked += len(decision.checks)
assert checked == 3 * len(names), checked
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
    Path("policy.yml").write_text("signers:\n  ours: {key: ours.pub}\nimages:\n  - {}\n")
    results = []
    for part, ours, loop in (("signing", sign_ours, sign_loop), ("verifying", verify_ours, verify_loop)):
        mine, theirs = [], []
        for number in range(rounds):
            names = prepare(host, packages, f"{part}{number}", signed=part == "verifying")
            references = [reference for name in names for reference in references_of(host, name)]
            # Each side signs images that nobody has signed yet.
            other = prepare(host, packages, f"{part}{number}-cosign", signed=part == "verifying")
            others = [reference for name in other for reference in references_of(host, name)]
            mine.append(timed(ours, host, names))
            theirs.append(timed(loop, cosign, others if part == "signing" else references))
        results.append(report(part, packages, min(mine), min(theirs)))
    return 0 if all(results) else 1


def prepare(host: str, packages: int, prefix: str, *, signed: bool) -> list[str]:
    names = [f"linuxkit/{prefix}-{number}" for number in range(packages)]
    with Registry(host) as registry:
        for name in names:
            put_package(registry.repository(name), seed=name, tag="v1")
    if signed:
        sign_ours(host, names)
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
    subprocess.run([sys.executable, "-c", SIGN, host, "ours.key", *names], check=True, env=environment())


def verify_ours(host: str, names: list[str]) -> None:
    subprocess.run([sys.executable, "-c", VERIFY, host, "policy.yml", *names], check=True, env=environment())


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
