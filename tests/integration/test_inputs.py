"""Inputs are linked within a run's own directory, whatever earlier attempts have put there."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from rund.executor.inputs import link_input


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", ["data", "data/x", "a/b/c"])
def test_an_input_is_linked_with_the_folders_that_it_lies_in(directory: Path, name: str) -> None:
    for _ in range(2):
        link_input(directory, name, "/somewhere")
        assert (directory / name).readlink() == Path("/somewhere")


@pytest.mark.parametrize("name", ["data", "data/x"])
def test_what_is_there_stays(directory: Path, name: str) -> None:
    place = directory / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    link_input(directory, name, "/somewhere")
    assert place.read_text() == "mine"
    place.unlink()
    place.symlink_to("nowhere")
    link_input(directory, name, "/somewhere")
    assert place.readlink() == Path("nowhere")


@pytest.mark.parametrize("name", ["data/x", "data/deep/x", "deep/data/x"])
def test_nothing_is_made_where_a_link_leads(directory: Path, name: str) -> None:
    outside = directory.parent / "outside"
    outside.mkdir()
    link = directory / name.partition("data")[0] / "data"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    with pytest.raises(OSError, match="data"):
        link_input(directory, name, "/somewhere")
    assert list(outside.iterdir()) == []


def test_what_is_found_through_a_link_is_there(directory: Path) -> None:
    outside = directory.parent / "outside"
    outside.mkdir()
    (outside / "x").touch()
    (directory / "data").symlink_to(outside)
    link_input(directory, "data/x", "/somewhere")
    assert not (directory / "data" / "x").is_symlink()


@pytest.mark.parametrize("name", ["../outside", "deep/../../outside", "/outside"])
def test_nothing_is_linked_outside_of_the_directory(directory: Path, name: str) -> None:
    with pytest.raises(OSError, match="outside"):
        link_input(directory, name, "/somewhere")
    assert list(directory.parent.iterdir()) == [directory]


def test_a_place_however_deep_takes_few_descriptors(directory: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    name = "/".join(["d"] * 200)
    few = max(int(each.name) for each in Path("/proc/self/fd").iterdir()) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(few, soft), hard))
    try:
        link_input(directory, name, "/somewhere")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (directory / name).is_symlink()
