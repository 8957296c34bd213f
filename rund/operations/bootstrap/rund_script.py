"""Runs a script with values put in place of its top-level literals, as if they were written there.

Run as ``python rund_script.py SCRIPT ARGUMENT...`` by the user's interpreter, any Python from 3.8 on.  The environment
variable ``RUND_SCRIPT`` holds ``{"script": PATH, "values": {NAME: VALUE}}``.

Rules:

- The script sees what it would see if it were run directly: names, arguments, path, exit, traceback.  Only
  ``__spec__`` differs: it names this module, so that the children that multiprocessing spawns import the script through
  it, with the same values, as ``__mp_main__``.
- Nothing is imported that a bare interpreter has not loaded: json alone would double the time that it takes to start.
"""

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, TracebackType
    from typing import Union

    Value = Union[float, str, None, "list[Value]"]  # noqa: UP007 - read by Python 3.8


def _script() -> "tuple[str, dict[str, Value]]":
    # The JSON that rund writes is a Python expression once its words are known.  It is rund's own text.
    import os

    text = os.environb[b"RUND_SCRIPT"].decode("utf-8", "surrogateescape")
    words: dict[str, object] = {
        "__builtins__": {},
        "null": None,
        "true": True,
        "false": False,
        "NaN": float("nan"),
        "Infinity": float("inf"),
    }
    told = eval(text, words)  # noqa: S307 - written by rund for this process
    return told["script"], told["values"]


def _rewritten(path: str, values: "dict[str, Value]") -> "CodeType":
    """The script's code, with ``values`` in place of its literals."""
    import _ast

    def literal(value: "Value", old: _ast.expr) -> _ast.expr:
        new: _ast.expr
        if isinstance(value, list):
            new = _ast.List(elts=[literal(item, old) for item in value], ctx=_ast.Load())
        else:
            new = _ast.Constant(value=value, kind=None)
        new.lineno, new.col_offset = old.lineno, old.col_offset
        new.end_lineno, new.end_col_offset = old.end_lineno, old.end_col_offset
        return new

    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is slow to import
        source = file.read()
    tree = compile(source, path, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, _ast.Module)  # noqa: S101 - it is, for that is what was asked for
    for statement in tree.body:
        if isinstance(statement, _ast.Assign) and len(statement.targets) == 1:
            target: _ast.expr = statement.targets[0]
        elif isinstance(statement, _ast.AnnAssign):
            target = statement.target
        else:
            continue
        old = statement.value
        if old is not None and isinstance(target, _ast.Name) and target.id in values:
            statement.value = literal(values[target.id], old)
    return compile(tree, path, "exec", dont_inherit=True)


def _hide_frames(count: int) -> None:
    """Have the exception that is on its way out shown without its first ``count`` frames: those of this module."""
    import sys

    show = sys.excepthook

    def excepthook(kind: "type[BaseException]", error: BaseException, trace: "TracebackType | None") -> None:
        for _ in range(count):
            trace = trace.tb_next if trace is not None else None
        error = error.with_traceback(trace)
        sys.last_traceback = trace
        show(kind, error, trace)

    sys.excepthook = excepthook


def _start(module: "dict[str, object]") -> None:
    """Run the script in ``module``, which is this one, emptied of all that is not the script's."""
    import sys

    path, values = _script()
    name, here = str(module["__name__"]), str(module["__file__"])
    spec = type(sys.__spec__)("rund_script", None, origin=here)
    make_loader: Callable[[str, str], object] = type(module["__loader__"])
    if name == "__main__":
        del sys.argv[0]
        folder = here.rpartition("/")[0]
        if sys.path[:1] == [folder]:  # not with python -P
            sys.path[0] = path.rpartition("/")[0]
        sys.path.append(folder)  # where spawned children find this module
    else:
        sys.argv[0] = path
    rewritten, hide_frames = _rewritten, _hide_frames
    for own in ("TYPE_CHECKING", "_script", "_rewritten", "_hide_frames", "_start"):
        del module[own]
    module.update(__doc__=None, __file__=path, __cached__=None, __spec__=spec, __package__=None)
    module["__loader__"] = make_loader(name, path)
    frames = 3  # of this module, above what went wrong
    try:
        code = rewritten(path, values)
        frames = 2
        exec(code, module)  # noqa: S102 - it is what the user asked to run
    except SystemExit:
        raise
    except BaseException:
        if name == "__main__":
            hide_frames(frames)
        raise


_start(globals())
