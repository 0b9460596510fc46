"""A small signed Debian archive, made of real .debs, for tests that must not depend on Debian's own."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SigningKey:
    """A throwaway OpenPGP key in a home directory of its own."""

    home: Path
    keyring: Path
    fingerprint: str

    @classmethod
    def make(cls, directory: Path, name: str = "Test Archive") -> SigningKey:
        # Not below `directory`: the agent's socket lies here, and its path may have 107 characters.
        home = Path(tempfile.mkdtemp(prefix="gpg-"))
        key = cls(home, directory / f"{name.replace(' ', '-')}.gpg", "")
        key._gpg("--passphrase", "", "--quick-generate-key", f"{name} <test@example.org>", "ed25519", "sign", "never")
        listing = key._gpg("--with-colons", "--list-keys").decode()
        key.fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        key.keyring.write_bytes(key._gpg("--export"))
        return key

    def _gpg(self, *arguments: str, content: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
        return subprocess.run(command, input=content, check=True, capture_output=True).stdout

    def clearsign(self, content: bytes) -> bytes:
        return self._gpg("--clearsign", content=content)

    def detached(self, content: bytes, *, armor: bool = False) -> bytes:
        return self._gpg(*(["--armor"] if armor else []), "--detach-sign", content=content)

    def stop(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False)
        shutil.rmtree(self.home, ignore_errors=True)


@dataclass
class FakeDeb:
    control: dict[str, str]
    path: str
    content: bytes


def build_deb(
    directory: Path, name: str, version: str, *, arch: str, files: dict[str, bytes], fields: dict[str, str]
) -> FakeDeb:
    """A real .deb, made by dpkg-deb."""
    file_name = f"{name}_{version.partition(':')[2] or version}_{arch}.deb"
    tree = directory / f"{file_name}.tree"
    for path, content in {f"usr/share/{name}/about": f"{name} {version}\n".encode(), **files}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
        (tree / path).chmod(0o755 if path.startswith("bin/") else 0o644)
    control = {
        "Package": name,
        "Version": version,
        "Architecture": arch,
        "Maintainer": "Nobody <nobody@example.org>",
        "Installed-Size": "1",
        **fields,
        "Description": f"{name} for tests",
    }
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    target = directory / file_name
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", str(tree), str(target)],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )
    return FakeDeb(control, f"pool/main/{name[0]}/{name}/{file_name}", target.read_bytes())


@dataclass
class FakeArchive:
    """Packages of one suite; `publish` gives its files by path, signed."""

    directory: Path
    key: SigningKey
    suite: str = "trixie"
    debs: dict[tuple[str, str], FakeDeb] = field(default_factory=dict)

    def add(
        self,
        name: str,
        version: str = "1.0",
        *,
        arch: str = "all",
        files: dict[str, bytes] | None = None,
        **fields: str,
    ) -> FakeDeb:
        """Put a version of a package in, in place of any other. Fields are given as `Depends=…`, `Pre_Depends=…`."""
        named = {key.replace("_", "-"): value for key, value in fields.items()}
        place = Path(tempfile.mkdtemp(dir=self.directory))
        deb = build_deb(place, name, version, arch=arch, files=files or {}, fields=named)
        self.debs[name, arch] = deb
        return deb

    def publish(
        self, date: str = "Sat, 12 Sep 2026 07:55:41 UTC", *, architectures: tuple[str, ...] = ("amd64", "arm64")
    ) -> dict[str, bytes]:
        files = {f"/{deb.path}": deb.content for deb in self.debs.values()}
        indices: dict[str, bytes] = {}
        for arch in architectures:
            listing = "\n".join(
                self._stanza(d) for d in self.debs.values() if d.control["Architecture"] in (arch, "all")
            )
            indices[f"main/binary-{arch}/Packages"] = listing.encode()
            indices[f"main/binary-{arch}/Packages.xz"] = lzma.compress(listing.encode())
        sums = "".join(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}\n" for path, data in indices.items())
        release = (
            f"Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: {self.suite}\nDate: {date}\n"
            f"Architectures: all {' '.join(architectures)}\nComponents: main\nSHA256:\n{sums}"
        )
        top = f"/dists/{self.suite}"
        files |= {f"{top}/{path}": data for path, data in indices.items() if path.endswith(".xz")}
        files[f"{top}/InRelease"] = self.key.clearsign(release.encode())
        return files

    def _stanza(self, deb: FakeDeb) -> str:
        fields = {
            **deb.control,
            "Filename": deb.path,
            "Size": str(len(deb.content)),
            "SHA256": hashlib.sha256(deb.content).hexdigest(),
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items())
