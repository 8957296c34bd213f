"""The text of the units: what is put in, what is read back, and what is refused."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runctl.service_units import UNITS, Installation, Installed, quoted, read, render

from rund.errors import InvalidError

TEMPLATES = {name: (Path(__file__).resolve().parents[2] / "systemd" / name).read_text("utf-8") for name in UNITS}
PLAIN = Installation(python="/venv/bin/python3", home="/home/ada/runs", socket="/run/user/1/rund/1.sock")
# Letters that mean something in a unit, and some that do not.
paths = st.text(st.sampled_from(" \"'%$\\;#=[]aü\u2028").filter(str.isprintable), max_size=20).map("/{}".format)


def directives(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def unquoted(word: str) -> str:
    """What systemd reads: systemd.syntax(7)."""
    assert word[0] == word[-1] == '"'
    letters = iter(word[1:-1])
    read = ""
    for letter in letters:
        assert letter != '"', "it would end here"
        read += next(letters) if letter == "\\" else letter
    assert read.count("%") == 2 * read.count("%%")
    return read.replace("%%", "%")


@given(paths)
def test_a_quoted_word_is_read_as_what_it_stands_for(path: str) -> None:
    assert unquoted(quoted(path)) == path


@given(home=paths)
def test_units_say_whose_they_are(home: str) -> None:
    installation = replace(PLAIN, home=home)
    for name in UNITS:
        assert read(render(name, TEMPLATES[name], installation)) == Installed(home=home, socket=PLAIN.socket)
        assert read(TEMPLATES[name]) is None


def test_what_depends_on_the_installation_is_put_in_and_the_rest_is_as_it_was() -> None:
    service = render("rund.service", TEMPLATES["rund.service"], replace(PLAIN, config="/else where"))
    assert directives(service, "ExecStart") == ['"/venv/bin/python3" -P -m rund']
    assert directives(service, "Environment") == ['"RUND_HOME=/home/ada/runs"', '"XDG_CONFIG_HOME=/else where"']
    assert directives(render("rund.socket", TEMPLATES["rund.socket"], PLAIN), "ListenStream") == [PLAIN.socket]
    for name in UNITS:
        kept = [line for line in TEMPLATES[name].splitlines() if not line.startswith(("ExecStart=", "ListenStream="))]
        assert set(kept) <= set(render(name, TEMPLATES[name], PLAIN).splitlines())


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"home": "/a\nExecStart=/bin/sh"}, "printable"),
        ({"python": "/a\x1b"}, "printable"),
        ({"python": '/it"s/python'}, "quotes"),
        ({"socket": "/" + "s" * 107}, "RUND_SOCKET"),
        ({"socket": "/socket "}, "RUND_SOCKET"),
        ({"socket": "/socket\\"}, "RUND_SOCKET"),
    ],
)
def test_paths_that_a_unit_cannot_hold_are_refused(changed: dict[str, str], says: str) -> None:
    for name in UNITS:
        with pytest.raises(InvalidError, match=says):
            render(name, TEMPLATES[name], replace(PLAIN, **changed))


def test_the_templates_are_shipped_where_they_are_looked_for() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert shipped == {f"systemd/{name}": f"runctl/systemd/{name}" for name in UNITS}
