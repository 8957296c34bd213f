"""Scripts with values in place of their literals run as if those were written there."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rund.model.operation import Operation, OperationKind
from rund.model.values import Flags
from rund.operations.command import command_line
from rund.operations.script_flags import decode_source, read_flags
from tests.integration.python_versions import interpreters

PYTHONS = pytest.mark.parametrize("python", interpreters(), ids=os.path.basename)
EXAMPLES = Path(__file__).parents[2] / "examples"


def write(folder: Path, source: str, encoding: str = "utf-8") -> Path:
    path = folder / "t.py"
    path.write_bytes(source.encode(encoding))
    return path


def run(python: str, script: Path, flags: Flags | None = None, *, direct: bool = False, **environment: str):
    """Run a script as rund does, or directly; with its own values but for ``flags``."""
    known = read_flags(decode_source(script.read_bytes(), "t.py"), "t.py")
    operation = Operation(
        name="t.py",
        kind=OperationKind.PYTHON,
        entry=script.name,
        arguments=("an", "argument"),
        flags=known,
        project_dir=str(script.parent),
        cwd="/",
        target=str(script),
    )
    values = {flag.name: flag.default for flag in known} | (flags or {})
    line = command_line(operation, values, source_dir=script.parent, python=python)
    argv = [python, str(script), *operation.arguments] if direct else line.argv
    return subprocess.run(
        argv,
        env={"PATH": os.environ["PATH"], **environment, **line.environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@PYTHONS
def test_the_example_prints_what_the_specification_says(python: str):
    assert run(python, EXAMPLES / "echo.py").stdout == "1.0 2 'a'\n"
    assert run(python, EXAMPLES / "echo.py", {"x": 3.0, "y": 5}).stdout == "3.0 5 'a'\n"


VALUES = {
    "a": float("nan"),
    "b": float("-inf"),
    "c": -0.0,
    "d": 2**64 - 1,
    "e": -(2**63),
    "f": None,
    "g": True,
    "h": "é\n\"'\\ \t\r \x7f\x01\u2028 \U0001f600 {x} %s \ud800 \udcff",
    "i": 5e-324,
    "j": "",
    "k": [1, [2.0, "x"], None, []],
}


@PYTHONS
def test_values_arrive_exactly(python: str, tmp_path: Path):
    names = ", ".join(VALUES)
    script = write(tmp_path, "".join(f"{name} = 1\n" for name in VALUES) + f"print(ascii([{names}]))\n")
    assert run(python, script, dict(VALUES)).stdout == ascii(list(VALUES.values())) + "\n"
    assert run(python, script, dict(VALUES), LC_ALL="C").stdout == ascii(list(VALUES.values())) + "\n"


PROBE = '''# -*- coding: latin-1 -*-
"""The docstring: \xe9."""
from __future__ import annotations
import inspect, linecache, pickle, sys
number = 1; other: int = 2
text = "a"
class Thing:
    """A class of the script's own."""
    unknown: NotDefined
print(ascii(sorted(globals())), ascii(__doc__), __name__, __file__, __package__, type(__loader__).__name__)
print(sys.argv, sys.path[0], sys.modules["__main__"].__file__, vars(sys.modules["__main__"]) is globals())
print(type(pickle.loads(pickle.dumps(Thing()))), ascii(inspect.getsource(Thing)), inspect.getsourcefile(Thing))
print(ascii(linecache.getline(__file__, 2)), sys._getframe().f_code.co_name, Thing.__module__)
print(__loader__.name, __loader__.path, __cached__)
'''


@PYTHONS
def test_a_script_sees_what_it_sees_when_run_directly(python: str, tmp_path: Path):
    script = write(tmp_path, PROBE, "latin-1")
    direct, through = run(python, script, direct=True), run(python, script)
    assert direct.stderr == through.stderr == ""
    assert direct.stdout.count("\n") == 5
    assert through.stdout == direct.stdout


ENDS = {
    "exception": "def f():\n    return 1 / zero\nf()\n",
    "chained": "try:\n    1 / zero\nexcept ZeroDivisionError as error:\n    raise ValueError('x') from error\n",
    "code": "import sys; sys.exit(3)\n",
    "message": "import sys; sys.exit('the end')\n",
    "own exit": "raise SystemExit\n",
    "os exit": "import os; os._exit(5)\n",
    "interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(10)\n",
    "handled": "import os, signal; signal.signal(signal.SIGTERM, lambda *_: exit(7)); os.kill(os.getpid(), 15)\n",
    "killed": "import os; os.kill(os.getpid(), 15)\n",
    "own hook": "import sys, traceback\nsys.excepthook = lambda *e: traceback.print_exception(*e)\n1 / zero\n",
    "at exit": "import atexit, sys\natexit.register(lambda: print(repr(sys.last_value)))\n1 / zero\n",
    "thread": (
        "import threading\ngo = threading.Event()\n"
        "threading.Thread(target=lambda: go.wait() and print('after')).start()\nprint('main')\ngo.set()\n"
    ),
    "recursion": "def f(): return f()\ntry:\n    f()\nexcept RecursionError:\n    print('deep')\n",
    "syntax": "compile('(', 'other.py', 'exec')\n",
}


@PYTHONS
@pytest.mark.parametrize("end", ENDS)
def test_a_script_ends_as_when_run_directly(python: str, end: str, tmp_path: Path):
    script = write(tmp_path, "zero = 0\n" + ENDS[end])
    direct, through = run(python, script, direct=True), run(python, script)
    assert (through.returncode, through.stdout, through.stderr) == (direct.returncode, direct.stdout, direct.stderr)
    if end == "interrupt":
        assert through.returncode == -signal.SIGINT


SPAWN = """
import multiprocessing
x = 1
_x = x

class Point:
    pass

def child(point):
    with multiprocessing.get_context("{method}").Pool(1) as pool:
        return [x, _x, __name__, type(point) is Point, pool.apply(grandchild)]

def grandchild():
    return x

if __name__ == "__main__":
    import concurrent.futures
    context = multiprocessing.get_context("{method}")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        print(pool.submit(child, Point()).result())
"""


@PYTHONS
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_children_of_multiprocessing_see_the_same_values(python: str, method: str, tmp_path: Path):
    script = write(tmp_path, SPAWN.replace("{method}", method))
    done = run(python, script, {"x": 42})
    name = "__main__" if method == "fork" else "__mp_main__"
    assert (done.stdout, done.stderr) == (f"[42, 42, {name!r}, True, 42]\n", "")


def test_a_script_for_another_python_names_its_own_line(tmp_path: Path):
    old = [python for python in interpreters() if "3.8" in python or "3.9" in python]
    if not old:
        pytest.skip("no Python older than match statements here")
    script = write(tmp_path, "x = 1\nmatch x:\n    case 1: pass\n")
    direct, through = run(old[0], script, direct=True), run(old[0], script)
    assert (through.returncode, through.stderr) == (direct.returncode, direct.stderr)


def test_the_bootstrap_imports_nothing_that_a_bare_interpreter_has_not_loaded(tmp_path: Path):
    listing = "import sys\nx = 1\nprint(sorted(sys.modules))\n"
    script = write(tmp_path, listing)
    direct, through = run(sys.executable, script, direct=True), run(sys.executable, script)
    assert set(ast.literal_eval(through.stdout)) - set(ast.literal_eval(direct.stdout)) <= {"_ast"}


def test_a_python_started_with_a_safe_path_keeps_it_safe(tmp_path: Path):
    script = write(tmp_path, "import sys, json\nx = 1\nprint(json.dumps(sys.path[:1]))\n")
    done = run(sys.executable, script, PYTHONSAFEPATH="1")
    assert json.loads(done.stdout) != [str(tmp_path)]
