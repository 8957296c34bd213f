"""Bad input: one clear line, the right exit status, and nothing made."""

from __future__ import annotations

import os

import pytest

from tests.process.conftest import Machine, wait_until

ARGS = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n" \
    "p.add_argument('--layers', type=int, required=True)\np.add_argument('--opt', choices=['sgd', 'adam'], default='sgd')\n" \
    "print(p.parse_args())\n"  # fmt: skip


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["run", "missing.py"], 2, ["there is no", "project/missing.py"]),
        (["run", "echo.py", "yy=3"], 2, ["yy", "y"]),
        (["run", "train.py", "layer=3"], 2, ["layer", "layers"]),
        (["run", "train.py", "lr=fast", "layers=1"], 2, ["lr: expected a number, got fast"]),
        (["run", "train.py", "layers=1.5"], 2, ["layers", "int"]),
        (["run", "train.py"], 2, ["give layers=VALUE"]),
        (["run", "train.py", "layers=1", "opt=adm"], 2, ["opt", "adam"]),
        (["run", "broken.py"], 2, ["broken.py", "2"]),
        (["run", "nul.py"], 2, ["nul.py"]),
        (["run", "."], 2, ["folder"]),
        (["run", "echo.py", "x=[]"], 2, ["x", "empty"]),
        (["run", "echo.py", "x=loguniform[0.1:0.01]"], 2, ["x=loguniform[0.1:0.01]: the lower bound 0.1 must be less than the upper bound 0.01"]),
        (["run", "echo.py", "x=uniform[1:2"], 2, ["x", "]"]),
        (["run", "echo.py", "x=[1,2]", "yy=1"], 2, ["yy", "y"]),
        (["run", "echo.py", "x=range[1:9999999]"], 2, ["x"]),
        (["run", "echo.py", "--optimizer", "random"], 2, ["optimizer", "draw"]),
        (["run", "echo.py", "--jobs", "2"], 2, ["jobs", "batch"]),
        (["run", "echo.py", "@missing.csv"], 2, ["missing.csv"]),
        (["run", "echo.py", "x=[1,2"], 2, ["x", "]"]),
        (["run", "echo.py", "3"], 2, ["3"]),
        (["run", "echo.py", "--input", "none"], 2, ["none"]),
        (["run", "echo.py", "--slots", "1000"], 2, ["slots"]),
        (["run", "echo.py", "--nonsense"], 2, ["--nonsense"]),
        (["run"], 2, ["runctl run OPERATION"]),
        (["nonsense"], 2, ["nonsense"]),
        (["show", "abc"], 4, ["abc", "short"]),
        (["show", "ffff"], 4, ["ffff"]),
        (["show", "@7"], 4, ["@7"]),
        (["restart", "zzzz"], 4, ["zzzz"]),
        (["logs", "ffff"], 4, ["ffff"]),
        (["stop", "ffff"], 4, ["ffff"]),
        (["delete", "ffff"], 4, ["ffff"]),
        (["list", "--status", "failed"], 2, ["failed", "completed"]),
        (["list", "-n", "x"], 2, ["-n", "x"]),
    ],
)  # fmt: skip
def test_one_line_says_what_is_wrong(served: Machine, args: list[str], status: int, said: list[str]) -> None:
    served.script("echo.py", "x = 1.0\ny = 2\nprint(x, y)\n")
    served.script("train.py", ARGS)
    served.script("broken.py", "x = 1\ndef (:\n")
    (served.project / "nul.py").write_bytes(b"x = 1\0\n")
    result = served.ctl(*args)
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert all(word in line for word in said), line
    assert served.json("list")["total"] == 0


def test_an_ambiguous_id_names_the_candidates(served: Machine) -> None:
    served.script("a.py", "print(1)\n")
    # Sixty-five thousand prefixes of four digits: the ids are made so that two share one.
    ids: dict[str, str] = {}
    served.ctl("pause", check=True)
    import sqlite3

    for _ in range(2):
        run = served.json("run", "-d", "a.py")["run"]
        ids[run["id"]] = run["id"]
    first, second = ids
    served.kill()
    connection = sqlite3.connect(served.home / "rund.db")
    connection.execute(
        "UPDATE runs SET id = ? WHERE id = ?", (first[:6] + ("0" if first[6] != "0" else "1") + first[7:], second)
    )
    connection.commit()
    connection.close()
    served.start()
    result = served.ctl("show", first[:5])
    assert result.returncode == 4
    (line,) = result.stderr.splitlines()
    assert line.count(first[:6]) == 2
    assert served.ctl("show", first[:8]).returncode == 0
    served.ctl("resume", check=True)


def test_a_command_that_cannot_be_executed_ends_in_error_with_the_reason(served: Machine) -> None:
    served.script("bad.sh", "#!/no/such/interpreter\n").chmod(0o755)
    result = served.ctl("run", "./bad.sh")
    assert result.returncode == 1
    assert "could not start" in result.stderr
    (run,) = served.json("list")["runs"]
    assert run["status"] == "error"
    assert run["reason"].startswith("could not start: ")
    assert (run["attempts"], run["exit_status"]) == (1, None)


def test_a_running_run_is_busy_and_says_what_to_do(served: Machine) -> None:
    served.script("wait.py", "import os, time\nx = 1\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\n")
    run = served.json("run", "-d", "wait.py")["run"]
    wait_until(lambda: served.json("show", run["id"])["run"]["status"] == "running")
    for args in (
        ["restart", "@1"],
        ["restart", "@1", "--dry-run"],
        ["restart", "@1", "x=2", "--needed"],
        ["delete", "@1"],
    ):
        result = served.ctl(*args)
        assert result.returncode == 5, result.stderr
        assert run["id"][:8] in result.stderr
        assert "stop" in result.stderr
    kept = served.json("restart", "@1", "--needed", "-d")
    assert kept["plan"]["kept"] == [run["id"]]
    assert served.json("delete", "@1", "--stop")["runs"] == [run["id"]]
    assert served.json("list")["runs"] == []


def test_exit_statuses_are_the_runs_own(served: Machine) -> None:
    served.script("exit.py", "import sys\ncode = 3\nsys.exit(code)\n")
    served.script("signal.py", "import os\nos.kill(os.getpid(), 9)\n")
    assert served.ctl("run", "exit.py").returncode == 3
    assert served.ctl("run", "exit.py", "code=0").returncode == 0
    assert served.ctl("run", "signal.py").returncode == 137
    assert served.json("list")["runs"][0]["signal"] == 9
    assert served.ctl("wait", "@1").returncode == 1


def test_no_daemon_and_none_may_be_started(machine: Machine) -> None:
    for args, env in ((["list", "--no-start"], {}), (["list"], {"RUNCTL_NO_START": "1"})):
        result = machine.ctl(*args, env=env)
        assert result.returncode == 3
        (line,) = result.stderr.splitlines()
        assert "runctl daemon start" in line


def test_errors_name_what_was_typed_and_cut_what_is_huge(served: Machine) -> None:
    served.script("t.py", "x = 1\n")
    assert served.ctl("list", "-n", "0").stderr.startswith("runctl: -n: ")
    assert served.ctl("run", "t.py", "--slots", "0").stderr.startswith("runctl: --slots: ")
    huge = served.ctl("run", "t.py", f"x=range[1:{'9' * 100_000}]")
    assert huge.returncode == 2
    assert len(huge.stderr) < 1500
    unknown = served.ctl("run", "t.py", f"{'y' * 100_000}=1")
    assert unknown.returncode == 2
    assert len(unknown.stderr) < 1500


def test_a_purge_of_an_empty_trash_does_not_ask(served: Machine) -> None:
    terminal, slave = os.openpty()
    result = served.ctl("purge", stdin=slave)
    os.close(slave)
    os.close(terminal)
    assert (result.returncode, result.stderr) == (0, "The trash is empty.\n")
