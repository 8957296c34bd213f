"""Copies a source once per content, under the name that its content gives it.

Rules: the digest is taken over names, execute bits and contents; a copy is named by what was written, whatever has
happened to the source since it was first read; a copy that can be seen is whole, and its content is on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from rund.errors import FullError, InternalError, InvalidError
from rund.operations.regular_file import read_start
from rund.operations.source_scan import FILE_LIMIT, MAX_BYTES, Manifest, SourceFile, scan_source

__all__ = ["Manifest", "Sources", "digest_source", "scan_source"]

_DIGEST_SIZE: Final = 20  # bytes; 40 hex digits
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def digest_source(manifest: Manifest) -> str:
    """The digest of the files as they are now.  Raises `InvalidError` with the path of one that cannot be read."""
    whole = _new_hash()
    for file, mode, data in _contents(manifest):
        whole.update(_part(file, mode, data))
    return whole.hexdigest()


class Sources:
    """The copies in ``folder``, for all threads of the one process that makes them.

    A copy is whole when its content and its name are on the disk: one whose name could not be flushed is flushed again
    before it is used, and nobody takes a copy for whole while another thread has only just given it its name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._whole: set[str] = set()

    def copy(self, manifest: Manifest) -> str:
        """Copy the files to ``folder / DIGEST``, unless that is there, and answer the digest of what was copied.

        The copy is made in a folder beside it and renamed; two at once do no harm.  Raises `InvalidError` with the path
        of a file that cannot be read, `FullError` if the disk is full, `InternalError` if it fails.
        """
        try:
            digest = digest_source(manifest)
            return digest if self.is_whole(digest) else self._copy(manifest)
        except OSError as error:
            if error.errno in _FULL:
                raise FullError(f"{self._folder}: the disk is full: free some space and try again") from None
            what = f"{(error.strerror or str(error)).lower()}: {os.fsdecode(error.filename or self._folder)}"
            raise InternalError(f"the source cannot be copied: {what}; see `runctl doctor`") from None

    def is_whole(self, digest: str) -> bool:
        """Whether there is a copy, and all of it is on the disk.  Raises OSError."""
        with self._lock:
            if not (self._folder / digest).is_dir():
                return False
            self._flush_name(digest)
            return True

    def _copy(self, manifest: Manifest) -> str:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".copying-", dir=self._folder))
        try:
            digest = _write(manifest, made)
            made.chmod(0o755)
            with self._lock:
                self._give_name(made, digest)
        finally:
            shutil.rmtree(made, ignore_errors=True)  # it has gone if it got its name
        return digest

    def _give_name(self, made: Path, digest: str) -> None:
        try:
            made.rename(self._folder / digest)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            self._whole.discard(digest)
        self._flush_name(digest)

    def _flush_name(self, digest: str) -> None:
        if digest not in self._whole:
            _sync(self._folder)
            self._whole.add(digest)


def _write(manifest: Manifest, folder: Path) -> str:
    """Write the files to the disk, and answer the digest of what was written."""
    whole = _new_hash()
    files: list[Path] = []
    folders = {folder}
    for file, mode, data in _contents(manifest):
        path = folder / file.path
        if path.parent not in folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            folders.update(parent for parent in path.parents if parent.is_relative_to(folder))
        if file.link is None:
            path.write_bytes(data)
            path.chmod(mode)
            files.append(path)
        else:
            path.symlink_to(file.link)
        whole.update(_part(file, mode, data))
    # All are written before the first is waited for: the disk takes them together.
    for path in (*files, *folders):
        _sync(path)
    return whole.hexdigest()


def _contents(manifest: Manifest) -> Iterator[tuple[SourceFile, int, bytes]]:
    """Each file with its mode and content, read once; one that has gone, or grown too large, since is left out."""
    for file in manifest.files:
        path = manifest.root / file.path
        if file.link is not None:
            yield file, 0, os.fsencode(file.link)
            continue
        is_script = file.path == manifest.script
        try:
            data = read_start(path, MAX_BYTES if is_script else FILE_LIMIT)
            mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
        except (FileNotFoundError, NotADirectoryError) as error:
            if is_script:
                raise _unreadable(path, error) from None
            continue
        except OSError as error:
            raise _unreadable(path, error) from None
        if data is not None and (is_script or len(data) < FILE_LIMIT):
            yield file, mode, data


def _unreadable(path: Path, error: OSError) -> InvalidError:
    return InvalidError(
        f"{path} cannot be read: {error.strerror}: make it readable, or leave it out by .gitignore", field="operation"
    )


def _new_hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=_DIGEST_SIZE, person=b"rund source 1")


def _part(file: SourceFile, mode: int, data: bytes) -> bytes:
    """What one file adds to the digest; every part has a length of its own or is fixed."""
    name = os.fsencode(file.path)
    kind = b"l" if file.link is not None else b"x" if mode & stat.S_IXUSR else b"f"
    return b"%c%d:%b%b" % (kind, len(name), name, hashlib.blake2b(data, digest_size=32).digest())


def _sync(path: Path) -> None:
    with suppress(PermissionError):  # a file that even its owner may not read
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
