"""docs/signing.md names every reason, and its policy is one."""

import re
from pathlib import Path

from pkgtool.config.typed import fields_of, struct
from pkgtool.policy.decision import Reason
from pkgtool.policy.reader import read_policy
from pkgtool.policy.schema import AttestationFile, ImageRuleFile, PolicyFile, SignaturesFile, SignerFile
from tests.support.signing import signer

PAGE = (Path(__file__).parents[3] / "docs" / "signing.md").read_text()


def test_every_reason_is_named() -> None:
    assert {reason for reason in Reason if f"`{reason}`" not in PAGE} == set()


def test_every_key_of_a_policy_is_named() -> None:
    schemas = (PolicyFile, ImageRuleFile, SignaturesFile, AttestationFile, SignerFile)
    keys = {name for schema in schemas for name in fields_of(struct(schema)).keys}
    assert {name for name in keys if name not in PAGE} == set()


def test_the_policy_on_the_page_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "keys").mkdir()
    for name in ("release", "2025", "rebuilder"):
        (tmp_path / "keys" / f"{name}.pub").write_text(signer(name).public_key.pem)
    root = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
    (tmp_path / "trusted_root.json").write_text(root)
    (tmp_path / "policy.yml").write_text(example)
    policy = read_policy(tmp_path / "policy.yml")
    assert policy.rule_for("registry.example/linuxkit/getty") is policy.rules[0]
    assert policy.rule_for("elsewhere/getty") is None
