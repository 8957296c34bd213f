"""Files of trials, read from the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rund.errors import InvalidError
from rund.operations import batch_rows
from rund.operations.batch_files import read_batch_file, split_batch_file
from rund.operations.batch_rows import BatchRows


def read(folder: Path, name: str, content: str | bytes) -> BatchRows:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_batch_file(path, where=name)


def test_csv_has_a_header_and_cells_of_text(tmp_path: Path):
    rows = read(tmp_path, "t.csv", 'x, y,z\r\n1,,"a, b"\r\n\r\n2.0,[1:3],"say ""no"""\r\n')
    assert rows.textual
    assert rows.rows == [{"x": "1", "y": "", "z": "a, b"}, {"x": "2.0", "y": "[1:3]", "z": 'say "no"'}]
    assert rows.where == "t.csv"


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path):
    assert read(tmp_path, "t.csv", b"\xef\xbb\xbfx\n1\n").rows == [{"x": "1"}]


def test_json_is_a_list_of_maps(tmp_path: Path):
    rows = read(tmp_path, "t.json", '[{"x": 1, "y": [1, 2.5]}, {"x": "1", "y": null, "z": NaN}]')
    assert not rows.textual
    assert repr(rows.rows) == "[{'x': 1, 'y': [1, 2.5]}, {'x': '1', 'y': None, 'z': nan}]"


def test_a_character_that_json_writes_in_two_halves_is_one(tmp_path: Path):
    assert read(tmp_path, "t.json", '[{"x": "\\ud83d\\ude00"}]').rows == [{"x": "\U0001f600"}]


def test_json_lines_are_a_map_each(tmp_path: Path):
    rows = read(tmp_path, "t.JSONL", '{"x": 1}\n\n{"x": true, "s": "\u2028"}\r\n')
    assert rows.rows == [{"x": 1}, {"x": True, "s": "\u2028"}]


@pytest.mark.parametrize("name", ["t.yaml", "t.yml"])
def test_yaml_reads_words_as_the_command_line_does(tmp_path: Path, name: str):
    rows = read(
        tmp_path,
        name,
        "- x: 1e-3\n  y: no\n  z: '5'\n- {x: [1, 2.0], y: 2024-01-01, z: ~}\n- x:\n  y: True\n  z: 1:30\n- x: 010\n",
    )
    assert repr(rows.rows) == repr(
        [
            {"x": 0.001, "y": "no", "z": "5"},
            {"x": [1, 2.0], "y": "2024-01-01", "z": None},
            {"x": None, "y": True, "z": "1:30"},
            {"x": 10},
        ]
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "x,y\n1,2\n1\n", "t.csv: row 2: it has 1 cell, and the header 2"),
        ("t.csv", "x,y\n1,2,3\n", "t.csv: row 1: it has 3 cells, and the header 2"),
        ("t.csv", "x,y,x\n1,2,3\n", "t.csv: the header has 'x' twice"),
        ("t.csv", "a-b,a_b\n1,2\n", "t.csv: row 1: a_b: the flag is given twice"),
        ("t.csv", "x,\n1,2\n", "t.csv: row 1: '' is not a flag's name"),
        ("t.csv", "x,y\n", "t.csv: it has no rows"),
        ("t.csv", "", "t.csv: it has no rows"),
        ("t.csv", 'x\n"a\n', "t.csv: row 1: it is not CSV"),
        ("t.csv", "x\n" + "a" * 200_000, "t.csv: row 1: it is not CSV"),
        ("t.csv", b"x\na\xff\n", "t.csv: line 2 is not UTF-8"),
        ("t.csv", "x\na\0b\n", "t.csv: row 1: x: a value cannot hold a null character"),
        ("t.json", '{"x": 1}', "t.json: expected a list of maps"),
        ("t.json", '[{"x": 1}, [1]]', "t.json: row 2: expected a map of flags, got list"),
        ("t.json", '[{"x": {"y": 1}}]', "t.json: row 1: x: a flag's value is"),
        ("t.json", '[{"x": 1}, {"x": ["a", "\\ud83d"]}]', "t.json: row 2: x: '\\ud83d' is half of a character"),
        ("t.jsonl", '{"x": "a\\udcffb"}\n', "t.jsonl: row 1: x: '\\udcff' is half of a character"),
        ("t.json", '[{"x": 1, "x": 2}]', "t.json: it is not JSON: 'x' is given twice"),
        ("t.json", '[{"x": 1}', "t.json: it is not JSON: Expecting ',' delimiter: line 1 column 10"),
        ("t.json", "[" * 100_000, "t.json: it is nested too deep"),
        ("t.json", "[]", "t.json: it has no rows"),
        ("t.json", '[{"x": ' + "1" * 5000 + "}]", "t.json: "),
        ("t.jsonl", '{"x": 1}\n{"x": }\n', "t.jsonl: row 2: it is not JSON"),
        ("t.jsonl", '{"x": 1}\n5\n', "t.jsonl: row 2: expected a map of flags, got int"),
        ("t.jsonl", "[" * 100_000, "t.jsonl: row 1: it is nested too deep"),
        ("t.yaml", "x: 1\n", "t.yaml: expected a list of maps"),
        ("t.yaml", "", "t.yaml: expected a list of maps"),
        ("t.yaml", "- x: [1\n", "t.yaml: it is not YAML"),
        ("t.yaml", "- x: 1\n- 5\n", "t.yaml: row 2: expected a map of flags, got int"),
        ("t.yaml", "- x: 1\n  x: 2\n", "t.yaml: row 1: 'x' is given twice"),
        ("t.yaml", "- {x: &a [1, 2]}\n- {x: *a}\n", "t.yaml: row 2: it has an alias"),
        ("t.yaml", "- &a [*a]\n", "t.yaml: row 1: it has an alias"),
        ("t.yaml", "- x: " + "[" * 50 + "]" * 50, "t.yaml: row 1: it is nested more than"),
        ("t.yaml", "- x: 99999999999999999999999\n", "t.yaml: row 1: the integer"),
        ("t.yaml", "- ? [a]\n  : 1\n", "t.yaml: row 1: a flag's name is a word"),
        ("t.yaml", "- !!python/object/apply:os.system ['true']\n", "t.yaml: row 1: expected a map of flags, got list"),
        ("t.yaml", "- x: 1\n--- \n- x: 2\n", "t.yaml: it is not YAML"),
        ("t.toml", "x = 1", "t.toml: a file of trials of this form is not known: use .csv, .json, .jsonl, .yaml, .yml"),
        ("t", "x\n1\n", "t: a file of trials of this form is not known"),
    ],
)
def test_a_bad_file_is_refused_with_file_and_row(tmp_path: Path, name: str, content: str | bytes, message: str):
    with pytest.raises(InvalidError) as caught:
        read(tmp_path, name, content)
    assert caught.value.message.startswith(message)


def test_a_file_that_is_missing_or_no_file_is_refused(tmp_path: Path):
    with pytest.raises(InvalidError, match=r"none.csv: it cannot be read: No such file"):
        read_batch_file(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "fifo.csv")
    for name in ("folder.csv", "fifo.csv"):
        with pytest.raises(InvalidError, match="not a regular file"):
            read_batch_file(tmp_path / name)
    with pytest.raises(InvalidError, match="cannot be read"):
        read_batch_file(Path("a\0b.csv"))


@pytest.mark.parametrize(("name", "size"), [("t.csv", 256_000_001), ("t.yaml", 32_000_001)])
def test_a_file_that_is_too_large_is_refused(tmp_path: Path, name: str, size: int):
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(size)
    with pytest.raises(InvalidError, match="larger than"):
        read_batch_file(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "x\n1\n2\n3\n4\n"),
        ("t.json", '[{"x":1},{"x":2},{"x":3},{"x":4}]'),
        ("t.jsonl", '{"x":1}\n' * 4),
        ("t.yaml", "- x: 1\n" * 4),
    ],
)
def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str):
    monkeypatch.setattr(batch_rows, "MAX_ROWS", 4)
    assert len(read(tmp_path, name, content).rows) == 4
    monkeypatch.setattr(batch_rows, "MAX_ROWS", 3)
    with pytest.raises(InvalidError, match="more than 3 rows"):
        read(tmp_path, name, content)


def test_the_file_is_told_apart_from_flags():
    assert split_batch_file(["x=1", "@a b.csv", "y=@c"]) == ("a b.csv", ["x=1", "y=@c"])
    assert split_batch_file(["@-"]) == ("-", [])
    assert split_batch_file(["x=1"]) == (None, ["x=1"])
    for args in (["@a.csv", "@b.csv"], ["@"]):
        with pytest.raises(InvalidError, match=r"write @FILE|one file"):
            split_batch_file(args)


def test_the_reader_of_yaml_is_loaded_only_for_yaml():
    script = "import sys, rund.operations.batch_files as b; assert 'yaml' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
