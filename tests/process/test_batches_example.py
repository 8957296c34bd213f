"""The worked example of the specification's section 5, row by row."""

from __future__ import annotations

from tests.process.batch_client import ECHO, BatchClient, plan


def test_the_worked_example_row_by_row(batches: BatchClient) -> None:
    batches.script("echo.py", ECHO)

    made = batches.done(batches.run("echo.py", "x=[1.0,2.0]", "y=[2,3]"))
    batch = made["run"]["id"]
    a, b, c, d = made["trials"]
    assert made["plan"] == plan(created=[a, b, c, d])
    assert made["run"]["operation"] == "echo.py+"
    assert batches.values(batch, "x", "y", "z") == [(1.0, 2, "a"), (1.0, 3, "a"), (2.0, 2, "a"), (2.0, 3, "a")]

    again = batches.done(batches.restart(batch))
    assert (again["trials"], again["plan"]) == ([a, b, c, d], plan(restarted=[a, b, c, d]))
    assert batches.attempts(batch) == [2, 2, 2, 2]

    narrower = batches.done(batches.restart(batch, "x=1.0"))
    assert (narrower["trials"], narrower["plan"]) == ([a, b], plan(restarted=[a, b], orphaned=[c, d]))
    assert [(run["status"], run["batch"], run["made_by"]) for run in map(batches.attrs, (c, d))] == [
        ("completed", None, batch),
        ("completed", None, batch),
    ]

    remembered = batches.done(batches.restart(batch))
    assert (remembered["trials"], remembered["plan"]) == ([a, b], plan(restarted=[a, b]))

    wider = batches.done(batches.restart(batch, "y=[2,3,4]"))
    e = wider["trials"][2]
    assert (wider["trials"], wider["plan"]) == ([a, b, e], plan(created=[e], restarted=[a, b]))
    assert batches.values(batch, "x", "y") == [(1.0, 2), (1.0, 3), (1.0, 4)]
    assert e not in (c, d)

    batches.call("delete", runs=[a, b])
    assert batches.ids(batch) == [e]

    needed = batches.done(batches.restart(batch, needed=True))
    f, g = needed["trials"][:2]
    assert (needed["trials"], needed["plan"]) == ([f, g, e], plan(created=[f, g], skipped=[e]))
    assert not {f, g} & {a, b, c, d, e}
    assert batches.attempts(batch) == [1, 1, 1]

    alone = batches.done(batches.restart(c, "x=3.0", "y=5", "z=b"))
    assert (alone["generation"], alone["trials"], alone["plan"]) == (None, None, plan(restarted=[c]))
    assert batches.attrs(c)["flags"] == {"x": 3.0, "y": 5, "z": "b"}
    assert batches.ids(batch) == [f, g, e]

    back = batches.done(batches.restart(batch, "x=[1.0,2.0]", needed=True))
    h, i = back["trials"][3], back["trials"][5]
    assert back["trials"] == [f, g, e, h, d, i]
    assert back["plan"] == plan(created=[h, i], skipped=[f, g, e, d], taken_back=[d])
    assert batches.values(batch, "x", "y")[3:] == [(2.0, 2), (2.0, 3), (2.0, 4)]
    assert batches.statuses(batch) == ["completed"] * 6
    assert batches.attempts(batch) == [1, 1, 1, 1, 2, 1]
