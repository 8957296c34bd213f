"""Flags found in the text of a script."""

from __future__ import annotations

import math
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rund.errors import InvalidError, RundError, UnsupportedError
from rund.model.operation import FlagDef, FlagType, Passing
from rund.model.values import FlagValue, value_key
from rund.operations.script_flags import decode_source, read_flags


def flags_of(source: str) -> dict[str, FlagDef]:
    return {flag.name: flag for flag in read_flags(textwrap.dedent(source), "/p/t.py")}


def defaults(source: str) -> dict[str, FlagValue]:
    return {name: flag.default for name, flag in flags_of(source).items()}


def test_the_literals_of_the_example_are_its_flags():
    found = flags_of('x = 1.0\ny = 2\nz = "a"\nprint("%r %r %r" % (x, y, z))\n')
    assert [(flag.name, flag.type, flag.default) for flag in found.values()] == [
        ("x", FlagType.FLOAT, 1.0),
        ("y", FlagType.INT, 2),
        ("z", FlagType.STR, "a"),
    ]
    assert {(flag.passing, flag.declared) for flag in found.values()} == {(Passing.LITERAL, False)}


def test_only_literals_that_are_assigned_once_are_flags():
    source = """
    '''Docstring.'''
    from __future__ import annotations
    a = -1
    b: float = 1e-3
    c = None
    d = True
    _hidden = 1
    __version__ = "1"
    twice = 1
    twice = 2
    added = 1
    added += 1
    looped = 1
    for looped in range(3): pass
    deleted = 1
    del deleted
    imported = 1
    import os as imported
    opened = 1
    with open("f") as opened: pass
    caught = 1
    try: pass
    except ValueError as caught: pass
    walrus = 1
    print((walrus := 2))
    in_a_comprehension = 1
    [in_a_walrus for _ in [1] if (in_a_comprehension := 3)]
    globalised = 1
    def function(parameter=(default_walrus := 5)):
        global globalised
        globalised = 2
        local = 1
        d = 2
    default_walrus = 1
    class Class:
        e = 1
    e = 5
    match d:
        case {"k": captured, **rest}: pass
    captured = 1
    rest = 1
    chained = also = 1
    one, two = 1, 2
    computed = 1 + 1
    called = int(3)
    listed = [1]
    formatted = f"{d}"
    data = b"bytes"
    large = 2 ** 70
    imaginary = 1j
    undefined: int
    comp = 3
    [comp for comp in range(3)]
    if d:
        branched = 1
    function = 1
    lone = "\\ud800"
    null = "a\\0b"
    """
    assert defaults(source) == {"a": -1, "b": 1e-3, "c": None, "d": True, "e": 5, "comp": 3}


def test_literals_of_a_script_that_has_a_parser_are_no_flags():
    assert defaults("import argparse\nx = 1\np = argparse.ArgumentParser()\np.parse_args()\n") == {}
    assert defaults("import argparse\nx = 1\n") == {"x": 1}


ARGPARSE = """
import argparse as ap
from argparse import ArgumentParser as AP, BooleanOptionalAction
SIZE = 2 ** 10
moved = 1
moved = 2
parser = AP(description="d")
parser.add_argument("--lr", "-l", type=float, default=1e-3 * 2)
parser.add_argument("-n", "--num-layers", type=int, default=-1, choices=[-1, 2, 4])
parser.add_argument("--size", type=int, default=SIZE)
parser.add_argument("--moved", type=int, default=moved)
parser.add_argument("--name", default="a")
parser.add_argument("--kind", choices=("x", "y"))
parser.add_argument("--now", type=float, default=time.time())
parser.add_argument("--custom", type=lambda s: s.upper(), default=3)
parser.add_argument("--converted", type=float, default="0.5")
parser.add_argument("--misfit", type=int, default=1.5)
parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2])
parser.add_argument("--pair", type=float, nargs=2, default=(1, 2))
parser.add_argument("--scalar-default", nargs="*", default="x")
parser.add_argument("--must", required=True)
parser.add_argument("--version", action="version", version="1")
parser.add_argument(*names)
parser.add_argument("--hidden", **more)
group = parser.add_argument_group("g")
either = group.add_mutually_exclusive_group()
either.add_argument("--on", action="store_true")
either.add_argument("--off", action="store_false")
either.add_argument("--no-cuda", dest="cuda", action="store_false")
either.add_argument("--amp", action=BooleanOptionalAction, default=True)
either.add_argument("--sgd", action="store_const", const="sgd", dest="opt")
either.add_argument("-v", "--verbose", action="count", default=0)
either.add_argument("--tag", action="append")
def more(parser, options, other: ap.ArgumentParser):
    parser.add_argument("--in-function", type=ap.FileType())
    options.add_argument("--headless")
    other.add_argument("--annotated", type=str, default=None)
parser.set_defaults(lr=0.25)
parser.add_argument("data")
parser.add_argument("out", nargs="?", default="o")
parser.add_argument("rest", nargs=ap.REMAINDER)
"""


def test_argparse_options_are_read_without_running_the_script():
    found = flags_of(ARGPARSE)
    assert {name: flag.default for name, flag in found.items()} == {
        "lr": 0.25,
        "num-layers": -1,
        "size": 1024,
        "moved": None,
        "name": "a",
        "kind": None,
        "now": None,
        "custom": 3,
        "converted": 0.5,
        "misfit": None,
        "sizes": [1, 2],
        "pair": [1.0, 2.0],
        "scalar-default": None,
        "must": None,
        "on": False,
        "off": True,
        "no-cuda": False,
        "amp": True,
        "sgd": False,
        "verbose": 0,
        "tag": None,
        "in-function": None,
        "annotated": None,
        "data": None,
        "out": "o",
    }
    assert found["num-layers"].option == "--num-layers"
    assert found["num-layers"].choices == (-1, 2, 4)
    assert found["kind"].choices == ("x", "y")
    assert (found["lr"].type, found["lr"].declared) == (FlagType.FLOAT, True)
    assert (found["custom"].type, found["custom"].declared) == (None, True)
    assert (found["name"].type, found["name"].declared) == (FlagType.STR, False)
    assert {name for name, flag in found.items() if flag.required} == {"must", "data"}
    assert {name: flag.passing for name, flag in found.items() if flag.passing is not Passing.OPTION} == {
        "on": Passing.SWITCH_ON,
        "off": Passing.SWITCH_OFF,
        "no-cuda": Passing.SWITCH_ON,
        "amp": Passing.SWITCH_BOTH,
        "sgd": Passing.SWITCH_ON,
        "verbose": Passing.COUNTED,
        "tag": Passing.REPEATED,
        "data": Passing.POSITIONAL,
        "out": Passing.POSITIONAL,
    }


ADD = "add_argument('--x', type=int, default=3)"


@pytest.mark.parametrize(
    "source",
    [
        f"import argparse\nargparse.ArgumentParser().{ADD}",
        f"import argparse\nargparse.ArgumentParser().add_argument_group().{ADD}",
        f"from argparse import *\nfrom argparse import ArgumentParser\np = ArgumentParser()\np.{ADD}",
        f"import argparse as a\nclass P(a.ArgumentParser):\n  def __init__(self):\n    self.{ADD}\nP()",
        f"import argparse\nclass A:\n  def f(self):\n    self.p = argparse.ArgumentParser()\n    self.p.{ADD}",
        f"def f():\n  import argparse\n  if (p := argparse.ArgumentParser()): p.{ADD}",
        f"import argparse\ng = p = argparse.ArgumentParser()\ng.{ADD}",
        f"import argparse\np: argparse.ArgumentParser = argparse.ArgumentParser()\np.{ADD}",
        f"import argparse\ndef f():\n  g = p.add_argument_group()\n  g.{ADD}\np = argparse.ArgumentParser()",
        "import argparse\nargparse.ArgumentParser().add_argument('-x', type=int, default=+1 + 2)",
    ],
)
def test_a_parser_is_found_however_it_is_made(source: str):
    assert defaults(source) == {"x": 3}


@pytest.mark.parametrize(
    ("kind", "text", "default"),
    [
        ("str", "[", "["),
        ("str", "[1, 2]", "[1, 2]"),
        ("str", "'q'", "'q'"),
        ("str", "range[1:3]", "range[1:3]"),
        ("str", "null", "null"),
        ("bool", "no", True),
        ("bool", "", False),
        ("int", "5", 5),
        ("float", "5", 5.0),
        ("int", "five", None),
    ],
)
def test_a_text_as_default_is_what_argparse_makes_of_it(kind: str, text: str, default: FlagValue):
    source = f"import argparse\nargparse.ArgumentParser().add_argument('--x', type={kind}, default={text!r})"
    assert value_key(defaults(source)["x"]) == value_key(default)


def test_subcommands_are_refused_with_what_to_do():
    with pytest.raises(UnsupportedError, match=r"line 3.*rund.toml"):
        flags_of("import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers()\n")


@pytest.mark.parametrize(
    ("source", "line"),
    [("x = 1\ny = (\n", 2), ("x = 1\n\ny = = 2\n", 3), ("a\n\0", 2), ("x = " + "(" * 5000 + ")" * 5000, 1)],
)
def test_a_script_that_does_not_parse_is_refused_with_path_and_line(source: str, line: int):
    with pytest.raises(InvalidError, match=rf"^/p/t\.py, line {line}: "):
        read_flags(source, "/p/t.py")


@pytest.mark.parametrize(
    "expression", ["10**10**10", "'a' * 10**9", "1/0", "1 << 10**9", "[0] * 10**9", "-" * 200 + "1"]
)
def test_what_would_take_long_to_compute_is_not_computed(expression: str):
    source = f"import argparse\nargparse.ArgumentParser().add_argument('--x', default={expression})"
    assert defaults(source) == {"x": None}
    assert defaults(f"x = {expression}") == {}


def test_the_encoding_that_a_script_names_is_honoured():
    assert decode_source("# coding: latin-1\nz = 'é'\n".encode("latin-1"), "t.py").endswith("z = 'é'\n")
    assert decode_source("\ufeffz = 'é'\n".encode(), "t.py") == "z = 'é'\n"
    with pytest.raises(InvalidError, match=r"t\.py, line 2: "):
        decode_source(b"a = 1\nz = '\xe9'\n", "t.py")
    with pytest.raises(InvalidError, match=r"t\.py, line 1: "):
        decode_source(b"# coding: nonsense\n", "t.py")


@given(st.floats() | st.integers(-(2**63), 2**63) | st.text(max_size=50) | st.booleans() | st.none())
def test_a_literal_is_read_exactly(value: FlagValue):
    found = defaults(f"x = {value!r}\n") if not isinstance(value, float) or math.isfinite(value) else {}
    if found:
        assert value_key(found["x"]) == value_key(value)
    else:
        assert isinstance(value, float | str)


@given(st.binary() | st.text("import argparse.()=:'\n \t#\\x01", max_size=200).map(str.encode))
def test_any_bytes_are_flags_or_an_error_of_rund(data: bytes):
    try:
        read_flags(decode_source(data, "t.py"), "t.py")
    except RundError:
        return
