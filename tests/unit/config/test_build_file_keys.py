"""Every key of build.yml that LinuxKit has: its meaning, its default, its traps."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkgtool.model import DEFAULT_ORG, ContextPath, DockerImages, Package
from pkgtool.values import Platform
from tests.support.configuration import package, package_problems

DIGEST = "sha256:" + "a" * 64


def read(tmp_path: Path, text: str | bytes, **files: str) -> Package:
    return package(tmp_path, text, {f"pkg/p/{name}": content for name, content in files.items()})


def arches(found: Package) -> list[str]:
    return [platform.suffix for platform in found.platforms]


def test_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, "image: p\n")
    assert found == Package(
        name="p",
        org=DEFAULT_ORG,
        path="pkg/p",
        tag_template="{{.Hash}}",
        platforms=(Platform("linux", "amd64"), Platform("linux", "arm64"), Platform("linux", "riscv64")),
        context=(ContextPath("pkg/p", ""),),
        source_url="https://github.com/linuxkit/linuxkit",
        source_date_epoch=1577836800,
        dockerfile="Dockerfile",
        network=False,
        cache=True,
        build_file="pkg/p/build.yml",
    )


NULLS = ["", " ~", " null", " Null", " NULL", " # nothing"]


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("key", ["org", "tag", "dockerfile", "gitrepo", "network", "disable-cache", "buildArgs"])
def test_a_key_with_nothing_after_it_keeps_the_default(tmp_path: Path, key: str, null: str) -> None:
    assert read(tmp_path, f"image: p\n{key}:{null}\n") == read(tmp_path, "image: p\n")


@pytest.mark.parametrize("key", ["extra-sources", "config", "depends", "inputs", "rootfs"])
def test_lists_and_mappings_may_be_absent(tmp_path: Path, key: str) -> None:
    assert read(tmp_path, f"image: p\n{key}:\n") == read(tmp_path, "image: p\n")


@pytest.mark.parametrize("text", ["arches:", "arches: ~", "arches: []"])
def test_arches_without_anything_is_an_empty_list(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"image: p\n{text}\n").platforms == ()


def test_arches_are_goarch_names_in_the_order_written(tmp_path: Path) -> None:
    assert arches(read(tmp_path, "image: p\narches: [arm64, amd64, s390x]\n")) == ["arm64", "amd64", "s390x"]


@pytest.mark.parametrize("word", ["yes", "Yes", "YES", "y", "Y", "on", "On", "ON", "true", "True", "TRUE"])
def test_words_for_true(tmp_path: Path, word: str) -> None:
    found = read(tmp_path, f"image: p\nnetwork: {word}\ndisable-cache: {word}\n")
    assert (found.network, found.cache) == (True, False)


@pytest.mark.parametrize("word", ["no", "No", "NO", "n", "N", "off", "Off", "OFF", "false", "False", "FALSE"])
def test_words_for_false(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, f"image: p\nnetwork: {word}\n").network is False


@pytest.mark.parametrize("word", ["1", "0", "tRue", "enabled", "[]", "{}"])
def test_other_words_are_no_booleans(tmp_path: Path, word: str) -> None:
    (found,) = package_problems(tmp_path, f"image: p\nnetwork: {word}\n")
    assert found.startswith("2:10 'network' must be true or false")


@pytest.mark.parametrize("value", ["0123", "no", "1.5", "2024-01-01", "12:30", "0x1f"])
def test_text_stays_as_it_is_written(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, f"image: p\ngitrepo: {value}\n").source_url == value


def test_only_the_first_document_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "image: p\n---\nimage: q\nnonsense: 1\n").name == "p"
    assert read(tmp_path, "---\nimage: p\n...\n---\n{[broken\n").name == "p"


@pytest.mark.parametrize("end", ["", "  ", "\n  ", "\n\n", "\r\n", "\n# end"])
def test_the_end_of_the_file_may_be_untidy(tmp_path: Path, end: str) -> None:
    assert arches(read(tmp_path, f"image: p\narches:\n  - amd64{end}")) == ["amd64"]


def test_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfimage: p\r\nnetwork: yes\r\n").network is True
    assert read(tmp_path, "image: p\nnetwork: yes\n".encode("utf-16")).network is True


def test_anchors_and_aliases(tmp_path: Path) -> None:
    found = read(tmp_path, "image: p\nbuildArgs: &a [A=1]\nconfig:\n  env: *a\n")
    assert found.runtime_config == '{"env":["A=1"]}'


# -- dockerfile ------------------------------------------------------------------------------------------


def test_a_dockerfile_of_another_name(tmp_path: Path) -> None:
    found = package(tmp_path, "image: p\ndockerfile: d/Other\n", {"pkg/p/d/Other": "FROM scratch\n"})
    assert found.dockerfile == "d/Other"


@pytest.mark.parametrize("path", ["../Dockerfile", "a/../../Dockerfile", "/etc/passwd", "''"])
def test_a_dockerfile_outside_the_package(tmp_path: Path, path: str) -> None:
    expected = [] if path == "''" else [f"2:13 dockerfile {path!r} leaves the package's directory"]
    assert (
        package_problems(tmp_path, f"image: p\ndockerfile: {path}\n", {"pkg/Dockerfile": "FROM scratch\n"}) == expected
    )


def test_a_dockerfile_that_does_not_exist(tmp_path: Path) -> None:
    assert package_problems(tmp_path, "image: p\ndockerfile: Other\n") == ["2:13 pkg/p/Other does not exist"]


# -- extra-sources ---------------------------------------------------------------------------------------


def test_extra_sources_are_relative_to_the_package(tmp_path: Path) -> None:
    text = "image: p\nextra-sources:\n  - ../../shared:lib\n  - ./sub:/a//b/./c/\n  - ../q:.\n"
    files = {"shared/x": "", "pkg/p/sub/x": "", "pkg/q/x": ""}
    assert package(tmp_path, text, files).context == (
        ContextPath("pkg/p", ""),
        ContextPath("shared", "lib"),
        ContextPath("pkg/p/sub", "a/b/c"),
        ContextPath("pkg/q", ""),
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("nocolon", "'nocolon' is not of the form SOURCE:DESTINATION"),
        ("a:b:c", "'a:b:c' is not of the form SOURCE:DESTINATION"),
        (":b", "':b' is not of the form SOURCE:DESTINATION"),
        ("'x:'", "'x:' is not of the form SOURCE:DESTINATION"),
        ("/etc:b", "the extra source '/etc' leaves the repository"),
        ("../../..:b", "the extra source '../../..' leaves the repository"),
        ("../x:../b", "the destination '../b' leaves the build context"),
        ("../x:a/../../b", "the destination 'a/../../b' leaves the build context"),
        ("../absent:b", "the extra source pkg/absent does not exist"),
    ],
)
def test_extra_sources_that_cannot_be(tmp_path: Path, entry: str, message: str) -> None:
    text = f"image: p\nextra-sources:\n  - {entry}\n"
    assert package_problems(tmp_path, text, {"pkg/x/f": ""}) == [f"3:5 {message}"]


def test_extra_sources_may_leave_the_tree_but_not_the_repository(tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    text = "image: p\nextra-sources: [../../../beside:b]\n"
    found = package(tmp_path / "tree", text, prefix="tree/")
    assert found.context[1] == ContextPath("../beside", "b")
    assert len(package_problems(tmp_path / "tree", text)) == 1


# -- tag -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template", ["v1-{{.Hash}}", "{{ .Hash }}", "{{- .Hash -}}", "'{{.Hash}}-{{.Hash}}'", "fixed", "1.0"]
)
def test_tag_templates(tmp_path: Path, template: str) -> None:
    assert read(tmp_path, f"image: p\ntag: '{template.strip(chr(39))}'\n").tag_template == template.strip("'")


@pytest.mark.parametrize("template", ["{{.Commit}}", "{{.Hash", "a b", "-{{.Hash}}", "{{.Hash}}" * 4, "ä", "a:b"])
def test_tag_templates_that_give_no_tag(tmp_path: Path, template: str) -> None:
    found = package_problems(tmp_path, f"image: p\ntag: '{template}'\n")
    assert found == [f"2:6 the tag template {template!r} gives no valid tag"]


def test_a_tag_leaves_room_for_what_is_added_to_it(tmp_path: Path) -> None:
    """A dirty tree's hash is 14 characters longer, and an architecture's tag ends in its name."""
    (found,) = package_problems(tmp_path, f"image: p\ntag: '{'x' * 80}-{{{{.Hash}}}}'\n")
    assert "gives no valid tag" in found


# -- buildArgs -------------------------------------------------------------------------------------------


def test_build_arguments(tmp_path: Path) -> None:
    found = read(tmp_path, "image: p\nbuildArgs:\n  - A=1\n  - B=\n  - C=x=y z\n  - D=@other\n")
    assert [(a.name, a.value) for a in found.build_args] == [("A", "1"), ("B", ""), ("C", "x=y z"), ("D", "@other")]


@pytest.mark.parametrize("line", ["A", "=1", "1A=x", "A B=x", "''"])
def test_build_arguments_that_cannot_be(tmp_path: Path, line: str) -> None:
    (found,) = package_problems(tmp_path, f"image: p\nbuildArgs:\n  - {line}\n")
    assert found == f"3:5 {line.strip(chr(39))!r} is not of the form NAME=VALUE"


# -- depends.docker-images -------------------------------------------------------------------------------


def docker_images(text: str) -> str:
    return f"image: p\ndepends:\n  docker-images:\n{text}"


def test_docker_images_by_list(tmp_path: Path) -> None:
    text = docker_images(f"    list: [alpine@{DIGEST}, 'example.com/a/b:1@{DIGEST}']\n    target-dir: images\n")
    expected = DockerImages((f"alpine@{DIGEST}", f"example.com/a/b:1@{DIGEST}"), "", "images")
    assert read(tmp_path, text).docker_images == expected


def test_docker_images_from_a_file(tmp_path: Path) -> None:
    text = docker_images("    from-file: images.lst\n    target: images.tar\n")
    found = package(tmp_path, text, {"pkg/p/images.lst": f"# a comment\n\nalpine@{DIGEST}\n"})
    assert found.docker_images == DockerImages((f"alpine@{DIGEST}",), "images.tar", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"    list: [a@{DIGEST}]\n    target: a\n    target-dir: b\n",
            "6:17 target and target-dir exclude each other",
        ),
        (f"    list: [a@{DIGEST}]\n    from-file: l\n    target: a\n", "5:16 list and from-file exclude each other"),
        ("    list: [alpine:3]\n    target: a\n", "4:12 'alpine:3' has no digest"),
        ("    list: ['BAD REF']\n    target: a\n", "4:12 'BAD REF' is not an image reference"),
        ("    list: ['a@sha256:12']\n    target: a\n", "4:12 'a@sha256:12' is not an image reference"),
        (f"    list: [a@{DIGEST}]\n", "4:5 docker-images need a target or a target-dir"),
        (f"    list: [a@{DIGEST}]\n    target: ../a\n", "5:13 target '../a' leaves the package's directory"),
        (f"    list: [a@{DIGEST}]\n    target-dir: /a\n", "5:17 target-dir '/a' leaves the package's directory"),
        ("    from-file: absent\n    target: a\n", "4:16 absent does not exist"),
        ("    from-file: ../l\n    target: a\n", "4:16 from-file '../l' leaves the package's directory"),
    ],
)
def test_docker_images_that_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    found = package_problems(tmp_path, docker_images(text), {"pkg/p/l": f"b@{DIGEST}\n"})
    assert any(line.startswith(message) for line in found), found
