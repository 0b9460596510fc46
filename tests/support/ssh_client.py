"""A real ssh client (Debian's openssh-client) with keys and known hosts of a test's own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PORT_IS_FREE_OF_SERVERS = "Connection refused"


def new_key(place: Path) -> Path:
    """A key pair without passphrase: the private key's path; the public one has `.pub` added."""
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", place], check=True)
    return place


@dataclass(frozen=True, slots=True)
class SshClient:
    """Connects as root to port 22 of this host; `host_keys` are the public keys that the server must prove."""

    key: Path
    host_keys: Sequence[Path] = ()

    def run(self, *command: str, options: Sequence[str] = (), text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command there. Waits for the server to listen."""
        deadline = time.monotonic() + 60
        while True:
            call = ["ssh", *self._options(), *options, "root@127.0.0.1", *command]
            done = subprocess.run(call, input=text, capture_output=True, text=True, timeout=60)
            if _PORT_IS_FREE_OF_SERVERS not in done.stderr or time.monotonic() > deadline:
                return done
            time.sleep(0.1)

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file from there over SFTP."""
        call = ["scp", "-q", *self._options(), f"root@127.0.0.1:{path}", target]
        subprocess.run(call, check=True, timeout=60, capture_output=True)

    def _options(self) -> list[str]:
        known = self.key.with_name("known_hosts")
        known.write_text("".join(f"127.0.0.1 {file.read_text()}" for file in self.host_keys))
        settings = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityFile": self.key,
            "StrictHostKeyChecking": "yes",
            "GlobalKnownHostsFile": "none",
            "UserKnownHostsFile": known,
        }
        return ["-F", "none", *(f"-o{name}={value}" for name, value in settings.items())]
