"""A small file system in a mount namespace of its own: it goes with the process that holds it, whatever happens."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import pytest

_PROGRAMS: Final = ("unshare", "nsenter", "mount", "mkfs.ext4")
_HELD: Final = "mounted"
_HOLD: Final = f"{{}} && echo {_HELD} && exec cat"  # it lives until its standard input is closed


class Disk:
    """A file system that is mounted at ``mountpoint`` for `launcher`'s commands, and for nobody else."""

    def __init__(self, mountpoint: Path, holder: int) -> None:
        self._holder = holder
        self.launcher: list[str | Path] = ["nsenter", f"--mount=/proc/{holder}/ns/mnt"]
        self.root = Path(f"/proc/{holder}/root{mountpoint}")  # as this process sees it
        self._ballast = self.root / "runs" / "ballast"

    def fill(self) -> None:
        """Leave no block free, and none that comes free by itself."""
        self._ballast.parent.mkdir(exist_ok=True)
        with self._ballast.open("ab", buffering=0) as file:
            filled = -1
            while file.tell() > filled:
                filled = file.tell()
                _write_all(file)
                # Until it is written out a file system holds more room than that takes.
                with suppress(OSError):
                    os.fsync(file)

    def free(self) -> None:
        """Give back what `fill` has taken."""
        self._ballast.unlink()

    def free_bytes(self) -> int:
        """The bytes that may be written."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize


@contextmanager
def small_disk(kind: str, mountpoint: Path, folder: Path, *, size: int) -> Iterator[Disk]:
    """A ``kind`` (tmpfs, ext4) of ``size`` bytes; skips the test where none can be had.  ``folder`` is for its image."""
    require()
    mountpoint.mkdir(mode=0o700, exist_ok=True)
    if kind == "tmpfs":
        command = f"mount -t tmpfs -o size={size},mode=700 tmpfs '{mountpoint}'"
    else:
        image = folder / "disk.img"
        make_image(image, size=size)
        command = mount_command(image, mountpoint)
    with held(command) as holder:
        yield Disk(mountpoint, holder)


def _write_all(file: BinaryIO) -> None:
    for size in (65_536, 4096, 512, 1):
        with suppress(OSError):
            while file.write(b"x" * size) == size:
                pass


def make_image(image: Path, *, size: int) -> None:
    """An image with an empty ext4, whose root is its owner's alone."""
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", image], check=True, capture_output=True)


def mount_command(image: Path, mountpoint: Path) -> str:
    """The shell's command that mounts ``image``; what is not flushed is written as late as can be."""
    return f"mount -o loop,commit=300 '{image}' '{mountpoint}' && rm -rf '{mountpoint}/lost+found'"


@contextmanager
def held(command: str) -> Iterator[int]:
    """A process in a mount namespace of its own, in which ``command`` has been run; skips the test if that fails."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _HOLD.format(command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline().strip() != _HELD:
                pytest.skip(f"no small file system can be mounted here: {holder.communicate()[1].strip()}")
            yield holder.pid
        finally:
            holder.kill()


def require() -> None:
    """Skip the test where no file system can be mounted; programs must be there on a continuous integration machine."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        assert os.environ.get("CI") != "true", f"install {', '.join(missing)}: these tests must not be skipped here"
        pytest.skip(f"missing: {', '.join(missing)}")
