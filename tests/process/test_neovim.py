"""Neovim's own MessagePack-RPC is a client as it stands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.process.conftest import DEADLINE, Machine

SCRIPT = """
local chan = vim.fn.sockconnect('pipe', vim.env.RUND_SOCKET, {rpc = true})
local out = {}
out.empty = vim.fn.rpcrequest(chan, 'list', vim.empty_dict()).total
local ok, message = pcall(vim.fn.rpcrequest, chan, 'show', {run = 'ffff'})
out.failed, out.message = not ok, tostring(message)
vim.fn.rpcrequest(chan, 'subscribe', {method = 'nvim_exec_lua', prefix = {[[
  local event = ...
  vim.g.kinds = (vim.g.kinds or '') .. event.kind .. ' '
  vim.g.last = event.kind .. ' ' .. tostring(event.status)
]]}})
local reply = vim.fn.rpcrequest(chan, 'run', {
  operation = 'echo.py', cwd = vim.fn.getcwd(), args = {'x=3'}, env = vim.fn.environ()})
out.id = reply.run.id
vim.wait(120000, function() return (vim.g.kinds or ''):find('ended') ~= nil end)
out.kinds, out.last = vim.g.kinds, vim.g.last
local listed = vim.fn.rpcrequest(chan, 'list', vim.empty_dict())
out.listed = {listed.runs[1].id, listed.runs[1].status}
out.output = vim.fn.rpcrequest(chan, 'output', {run = out.id}).data
local file = io.open('out.json', 'w')
file:write(vim.json.encode(out))
file:close()
"""


def test_neovim_lists_runs_shows_errors_and_is_told_of_ends(served: Machine) -> None:
    nvim = shutil.which("nvim")
    if nvim is None:
        assert not os.environ.get("CI"), "CI installs neovim"
        pytest.skip("nvim is not installed (Debian package neovim)")
    served.script("echo.py", "x = 1.0\nprint(x)\n")
    script = served.script("check.lua", SCRIPT)
    result = subprocess.run(
        [nvim, "--clean", "--headless", "-c", f"luafile {script}", "-c", "qall!"],
        cwd=served.project, env=served.env | {"RUND_SOCKET": str(served.socket)}, capture_output=True, text=True, timeout=2 * DEADLINE, check=False,
    )  # fmt: skip
    written = Path(served.project / "out.json")
    assert written.exists(), result.stdout + result.stderr
    out = json.loads(written.read_text())
    assert out["empty"] == 0
    assert out["failed"] is True
    assert "not-found: no run 'ffff'" in out["message"]
    assert out["kinds"].split() == ["created", "started", "ended"]
    assert out["last"] == "ended completed"
    assert out["listed"] == [out["id"], "completed"]
    assert out["output"] == "3.0\n"
