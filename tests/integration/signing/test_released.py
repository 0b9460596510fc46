"""`pkgtool release --sign`: the release file, its steps as in-toto sees them, and copies of all of it elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.signing.conftest import Cosign, Tools
from tests.support.offline import no_network
from tests.support.published import PACKAGES, Published
from tests.support.registry.registries import docker_registry, referrers_registry

pytestmark = pytest.mark.xdist_group("signing release")
NO_LOG = "--insecure-ignore-tlog"
NAMES = ("v1.2.json", "v1.2.json.sigstore.json", "v1.2.in-toto")


@pytest.fixture(scope="module")
def files(released: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what `pkgtool release` wrote."""
    directory = tmp_path_factory.mktemp("release")
    file = directory / "v1.2.json"
    done = released.shop.pkgtool(
        "release", "v1.2", "--sign", *released.shop.by(), "--registry", released.registry, "--file", str(file)
    ).ok()
    assert f"signed: {directory / NAMES[1]}\n" in done.out
    assert sorted(path.name for path in directory.iterdir()) == sorted(NAMES)
    return directory


@pytest.fixture
def work(files: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(files, tmp_path / "work"))


def verified(work: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """What in-toto's own program says."""
    program = Path(sys.executable).with_name("in-toto-verify")
    command = [
        program,
        "--layout",
        "v1.2.in-toto/root.layout",
        "--link-dir",
        "v1.2.in-toto",
        "--verification-keys",
        key,
    ]
    return subprocess.run(command, cwd=work, capture_output=True, text=True)


def nothing(work: Path) -> None:
    """An honest release."""


def without_a_step(work: Path) -> None:
    (link,) = (work / "v1.2.in-toto").glob("lock.*.link")
    link.unlink()


def with_another_image(work: Path) -> None:
    """Somebody exchanges a digest in the link of the build; its signature does not follow."""
    import base64

    (link,) = (work / "v1.2.in-toto").glob("build.*.link")
    envelope = json.loads(link.read_text())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["products"]["image/app"]["sha256"] = "0" * 64
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    link.write_text(json.dumps(envelope))


def with_another_file(work: Path) -> None:
    file = work / "v1.2.json"
    file.write_text(file.read_text().replace("linuxkit/app", "linuxkit/evil"))


def with_a_step_of_another_release(work: Path) -> None:
    """A link that is signed as it must be, and tells of something else."""
    from pkgtool.signing.intoto.steps import Record, Step, write_link
    from pkgtool.signing.keys import open_signer
    from pkgtool.values import Digest
    from tests.support.published import PASSPHRASE

    (link,) = (work / "v1.2.in-toto").glob("build.*.link")
    link.unlink()
    (key,) = work.parent.glob("ours.key")
    signer = open_signer(str(key), lambda _what: PASSPHRASE.encode())
    write_link(Record(Step.BUILD, {}, {"image/app": Digest.of(b"evil")}), signer, work / "v1.2.in-toto")


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        (nothing, True),
        (without_a_step, False),
        (with_another_image, False),
        (with_another_file, False),
        (with_a_step_of_another_release, False),
    ],
)
def test_in_toto_verify(released: Published, work: Path, change: Callable[[Path], None], accepted: bool) -> None:
    (work.parent / "ours.key").symlink_to(released.shop.by()[1])
    change(work)
    done = verified(work, released.shop.public())
    assert (done.returncode == 0) is accepted, done.stderr
    assert verified(work, released.shop.public("other")).returncode != 0


def test_cosign_accepts_the_release_file(released: Published, work: Path, cosign: Cosign) -> None:
    options = ("--key", str(released.shop.public()), NO_LOG, "--type", "https://pkgtool.dev/release/v1")
    bundle = ("--bundle", str(work / NAMES[1]))
    cosign("verify-blob-attestation", *options, *bundle, str(work / "v1.2.json"))
    with_another_file(work)
    cosign("verify-blob-attestation", *options, *bundle, str(work / "v1.2.json"), fails=True)


def test_verify_a_release(released: Published, work: Path) -> None:
    verify = ("verify", "--release", str(work / "v1.2.json"))
    done = released.shop.pkgtool(*verify).ok()
    assert len(done.out.splitlines()) == 1 + len(PACKAGES)
    (work / NAMES[1]).unlink()
    unsigned = released.shop.pkgtool(*verify)
    assert (unsigned.code, "there is no signature" in unsigned.err) == (11, True)


def test_a_release_file_that_was_changed(released: Published, work: Path) -> None:
    file = work / "v1.2.json"
    app, base = (released.digests(name)[0] for name in PACKAGES)
    file.write_text(file.read_text().replace(app, base))
    done = released.shop.pkgtool("verify", "--release", str(file))
    assert done.code == 11
    assert "is not about this file" in done.err
    absent = released.shop.pkgtool("verify", "--release", str(work / "absent.json"))
    assert (absent.code, "absent.json can't be read: No such file" in absent.err) == (3, True)


def test_a_release_by_a_policy_that_names_nobody_for_it(released: Published, work: Path) -> None:
    policy = released.shop.tree.root.parent / "no-releases.yml"
    text = (released.shop.tree.root / "policy.yml").read_text()
    policy.write_text(text.replace("release: {by: [ours]}\n", "").replace("keys/", "tree/keys/"))
    done = released.shop.pkgtool("verify", "--release", str(work / "v1.2.json"), "--policy", str(policy))
    assert (done.code, "does not say who may sign releases" in done.err) == (11, True)


def test_what_did_not_change_may_have_been_built_from_an_older_commit(
    released: Published, files: Path, tmp_path: Path
) -> None:
    later = released.shop.copy(tmp_path / "later")
    later.tree.write("README", "no package is changed by this")
    later.tree.commit()
    file = tmp_path / "v1.3.json"
    release = ("release", "v1.3", "--sign", *later.by(), "--registry", released.registry, "--file", str(file))
    later.pkgtool(*release).ok()
    assert json.loads(file.read_text())["git"] != json.loads((files / "v1.2.json").read_text())["git"]
    later.pkgtool("verify", "--release", str(file)).ok()
    program = Path(sys.executable).with_name("in-toto-verify")
    links = tmp_path / "v1.3.in-toto"
    options = ["--layout", links / "root.layout", "--link-dir", links, "--verification-keys", later.public()]
    subprocess.run([program, *options], cwd=tmp_path, check=True, capture_output=True)


def test_images_that_the_key_did_not_sign_are_not_recorded_and_no_tag_is_set(
    released: Published, tmp_path: Path
) -> None:
    shop = released.shop
    release = ("release", "v9", "--sign", *shop.by("other"), "--registry", released.registry)
    done = shop.pkgtool(*release, "--file", str(tmp_path / "v9.json"))
    assert done.code == 2
    assert "is not signed with this key" in done.err
    assert not any(name.endswith(":v9") for name in released.everything())
    assert list(tmp_path.iterdir()) == []


# -- copies ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(released: Published, files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "v1.2.tar"
    released.shop.pkgtool("export", "--release", str(files / "v1.2.json"), str(path)).ok()
    return path


@pytest.fixture(scope="module", params=["promoted", "exported and imported"])
def copied(
    request: pytest.FixtureRequest,
    released: Published,
    files: Path,
    archive: Path,
    tools: Tools,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Published]:
    """The release in another registry, of the other kind where it can be: lists of referrers differ between them."""
    shop, file = released.shop, str(files / "v1.2.json")
    promoted = request.param == "promoted"
    with referrers_registry() if promoted else docker_registry(tmp_path_factory.mktemp("copied")) as address:
        if promoted:
            shop.pkgtool("promote", "--release", file, released.registry, f"{address}/deep/team").ok()
        else:
            shop.pkgtool("import", str(archive), f"{address}/deep/team").ok()
        yield Published(shop, f"{address}/deep/team", tools.crane)


def test_a_copy_has_everything(released: Published, copied: Published, files: Path, cosign: Cosign) -> None:
    key = ("--key", str(released.shop.public()), NO_LOG)
    for reference in copied.references():
        cosign("verify", *key, reference)
        cosign("verify", *key, "--new-bundle-format=false", reference)
        for kind in ("slsaprovenance1", "spdxjson", "cyclonedx"):
            cosign("verify-attestation", *key, "--type", kind, reference)
            cosign("verify-attestation", *key, "--new-bundle-format=false", "--type", kind, reference)
    copied.shop.pkgtool("verify", "--registry", copied.registry).ok()
    copied.shop.pkgtool("verify", "--registry", copied.registry, "--release", str(files / "v1.2.json")).ok()


def test_an_archive_is_verified_with_no_network_at_all(released: Published, files: Path, archive: Path) -> None:
    verify = ("verify", "--release", str(files / "v1.2.json"), "--archive", str(archive), "--json")
    with no_network():  # the registry is out of reach here
        document = released.shop.pkgtool(*verify).ok().json
    assert (document["accepted"], len(document["decisions"])) == (True, 1 + len(PACKAGES))


def test_an_archive_that_was_tampered_with(released: Published, files: Path, archive: Path, tmp_path: Path) -> None:
    """The classic signatures and the bundles of one image are taken out of it."""
    place = tmp_path / "v1.2"
    place.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", place], check=True)
    index = json.loads((place / "index.json").read_text())
    app = released.digests("app")[0].replace(":", "-")
    kept = [each for each in index["manifests"] if app not in json.dumps(each.get("annotations", {}))]
    assert len(kept) < len(index["manifests"])
    (place / "index.json").write_text(json.dumps({**index, "manifests": kept}))
    for blob in (place / "blobs" / "sha256").iterdir():
        content = blob.read_bytes()
        if b'"subject"' in content and b"sigstore.bundle" in content and app.partition("-")[2].encode() in content:
            blob.unlink()
    done = released.shop.pkgtool("verify", "--release", str(files / "v1.2.json"), "--archive", str(place))
    assert done.code == 11
    assert "the index is not signed although its manifests are" in done.err
