"""Which files are a source, and its copies."""

from __future__ import annotations

import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rund.errors import InvalidError
from rund.operations import source_scan
from rund.operations.source import Sources, digest_source, scan_source


def write(path: Path, text: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def scanned(root: Path, script: str | None = "t.py", *, marked: bool = True) -> list[str]:
    return [file.path for file in scan_source(root, script, marked=marked).files]


def test_hidden_ignored_and_large_files_are_left_out(tmp_path: Path):
    for name in (
        "t.py",
        "a.txt",
        "pkg/m.py",
        "pkg/keep.log",
        ".hidden",
        ".git/x",
        "__pycache__/a.pyc",
        "venv/pyvenv.cfg",
    ):
        write(tmp_path / name)
    for name in ("venv/lib.py", "node_modules/x.js", "out/x", "pkg/x.log", "pkg/only.tmp", "sub/out", "sub/only.tmp"):
        write(tmp_path / name)
    write(tmp_path / ".gitignore", "*.log\n/out/\n")
    write(tmp_path / "pkg" / ".gitignore", "!keep.log\nonly.tmp\n[\n")
    write(tmp_path / "large.bin", "x" * 1_000_000)
    write(tmp_path / "small.bin", "x" * 999_999)
    assert scanned(tmp_path) == [
        *("a.txt", "pkg/keep.log", "pkg/m.py", "small.bin", "sub/only.tmp", "sub/out", "t.py"),
    ]


def test_the_rules_of_the_repository_around_a_project_hold(tmp_path: Path):
    write(tmp_path / ".git" / "HEAD")
    write(tmp_path / ".gitignore", "/inner/data\n*.tmp\n")
    for name in ("t.py", "data/x", "b.tmp"):
        write(tmp_path / "inner" / name)
    assert scanned(tmp_path / "inner") == ["t.py"]


def test_the_script_is_always_taken(tmp_path: Path):
    write(tmp_path / ".gitignore", "build/\n")
    write(tmp_path / "build" / ".t.py", "#" * 1_000_000)
    write(tmp_path / "build" / "other.py")
    manifest = scan_source(tmp_path, "build/.t.py", marked=True)
    assert [file.path for file in manifest.files] == ["build/.t.py"]
    digest = Sources(tmp_path / ".copies").copy(manifest)
    assert (tmp_path / ".copies" / digest / "build" / ".t.py").stat().st_size == 1_000_000


def test_outside_of_a_project_only_modules_and_packages_beside_the_script_are_taken(tmp_path: Path):
    for name in ("t.py", "m.py", "data.csv", "pkg/__init__.py", "pkg/table.csv", "pkg/sub/x", "folder/x.py"):
        write(tmp_path / name)
    assert scanned(tmp_path, marked=False) == ["m.py", "pkg/__init__.py", "pkg/sub/x", "pkg/table.csv", "t.py"]


def test_links_are_copied_safely_and_what_is_not_a_file_is_never_opened(tmp_path: Path):
    root = tmp_path / "root"
    write(root / "t.py")
    write(root / "real" / "a.txt", "inside")
    write(tmp_path / "outside" / "b.txt", "outside")
    (root / "file-in").symlink_to("real/a.txt")
    (root / "file-out").symlink_to("../outside/b.txt")
    (root / "sub").mkdir()
    (root / "sub" / "folder-in").symlink_to(root / "real")
    (root / "folder-out").symlink_to("../outside")
    (root / "loop").symlink_to("loop")
    (root / "self").symlink_to(".")
    (root / "nowhere").symlink_to("none")
    (root / "device").symlink_to("/dev/zero")
    os.mkfifo(root / "fifo.py")
    os.mkfifo(root / "real" / ".gitignore")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        digest = Sources(tmp_path / "copies").copy(scan_source(root, "t.py", marked=True))
    copy = tmp_path / "copies" / digest
    found = sorted(str(path.relative_to(copy)) for path in copy.rglob("*"))
    assert found == ["file-in", "file-out", "real", "real/a.txt", "sub", "sub/folder-in", "t.py"]
    assert (copy / "file-out").read_text() == "outside"
    assert not (copy / "file-out").is_symlink()
    assert (copy / "sub" / "folder-in").resolve() == copy / "real"


def test_the_digest_depends_on_names_contents_and_execute_bits_alone(tmp_path: Path):
    def digest(folder: str, **files: str) -> str:
        for name, text in files.items():
            write(tmp_path / folder / name, text)
        return digest_source(scan_source(tmp_path / folder, "a", marked=True))

    first = digest("1", a="x", b="y")
    assert digest("2", a="x", b="y") == first
    assert len({first, digest("3", a="x", c="y"), digest("4", a="x", b="z"), digest("5", a="xb", b="")}) == 4
    os.utime(tmp_path / "1" / "a", (1, 1))
    (tmp_path / "1" / "a").chmod(0o600)
    assert digest_source(scan_source(tmp_path / "1", "a", marked=True)) == first
    (tmp_path / "1" / "a").chmod(0o755)
    assert digest_source(scan_source(tmp_path / "1", "a", marked=True)) != first


def test_a_source_is_copied_once_also_by_many_at_once(tmp_path: Path):
    write(tmp_path / "root" / "t.py", "x", 0o755)
    write(tmp_path / "root" / "pkg" / "m.py", "y")
    manifest = scan_source(tmp_path / "root", "t.py", marked=True)
    sources = Sources(tmp_path / "copies")
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: sources.copy(manifest), range(32)))
    assert digests == {digest_source(manifest)}
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [*digests]
    copy = tmp_path / "copies" / digests.pop()
    assert stat.S_IMODE((copy / "t.py").stat().st_mode) == 0o755
    assert digest_source(scan_source(copy, "t.py", marked=True)) == copy.name


def test_a_copy_is_named_by_what_was_copied_although_the_source_changes(tmp_path: Path):
    root = tmp_path / "root"
    write(root / "t.py")
    for number in range(50):
        write(root / f"m{number}.py", "a" * 1000)
    manifest = scan_source(root, "t.py", marked=True)

    def change(number: int) -> None:
        for path in root.glob("m*.py"):
            write(path, str(number) * 1000)
        if number == 25:
            (root / "m7.py").unlink()

    with ThreadPoolExecutor(2) as pool:
        changes = pool.map(change, range(50))
        digests = [Sources(tmp_path / "copies").copy(manifest) for _ in range(20)]
        list(changes)
    for digest in digests:
        assert digest_source(scan_source(tmp_path / "copies" / digest, "t.py", marked=True)) == digest


def test_a_source_of_too_many_files_is_refused_naming_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source_scan, "MAX_FILES", 20)
    write(tmp_path / "t.py")
    for number in range(100):
        write(tmp_path / "images" / f"{number}.png")
    with pytest.raises(InvalidError, match=r"more than 20 files.*images/ \(.*gitignore"):
        scanned(tmp_path)


def test_a_source_of_too_many_bytes_is_refused_naming_where_they_are(tmp_path: Path):
    write(tmp_path / "t.py")
    (tmp_path / "data").mkdir()
    for number in range(102):
        os.truncate(write(tmp_path / "data" / f"{number}.bin"), 999_999)
    with pytest.raises(InvalidError, match=r"more than 100 MB.*data/"):
        scanned(tmp_path)


def test_folders_nested_beyond_reason_are_refused(tmp_path: Path):
    write(tmp_path / "t.py")
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    try:
        with pytest.raises(InvalidError, match="nested more than 100 deep"):
            scanned(tmp_path)
    finally:
        _remove_nested(tmp_path)


def _remove_nested(top: Path) -> None:
    """Take the folders away level by level, for no path can name the innermost."""
    while (top / "d").exists():
        if (top / "d" / "d").exists():
            (top / "d" / "d").rename(top / "next")
        (top / "d").rmdir()
        if (top / "next").exists():
            (top / "next").rename(top / "d")


def test_a_script_that_has_gone_is_refused(tmp_path: Path):
    write(tmp_path / "t.py")
    manifest = scan_source(tmp_path, "t.py", marked=True)
    (tmp_path / "t.py").unlink()
    with pytest.raises(InvalidError, match=r"t\.py cannot be read"):
        Sources(tmp_path / ".copies").copy(manifest)
    assert not (tmp_path / ".copies").exists()
