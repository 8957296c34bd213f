"""The local backend starts attempts, tells their ends exactly, and leaves nothing behind."""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from rund.engine.recover import Ended, NeverRan
from rund.executor.backend import State
from rund.executor.facts import read_facts
from rund.executor.local import LocalBackend
from rund.model.status import Status
from tests.integration.attempts import (
    Attempts,
    Bell,
    all_ended,
    at_rest,
    attempts_fixture,  # noqa: F401 - pytest finds it here
    bell_fixture,  # noqa: F401 - pytest finds it here
    children,
    command_line,
    descriptors,
    found,
    gone,
    run,
    spare_descriptors,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("script", "status", "reason", "code", "number"),
    [
        ("exit 0", Status.COMPLETED, None, 0, None),
        ("exit 3", Status.ERROR, "exit 3", 3, None),
        ("exit 137", Status.ERROR, "exit 137", 137, None),
        ("kill -KILL $$", Status.TERMINATED, "signal 9", None, 9),
        ("kill -TERM $$", Status.TERMINATED, "signal 15", None, 15),
    ],
)
async def test_an_exit_code_is_told_from_a_signal(
    attempts: Attempts,
    script: str,
    status: Status,
    reason: str | None,
    code: int | None,
    number: int | None,
) -> None:
    attempt = attempts.shell(script)
    async with LocalBackend() as backend:
        await run(backend, attempt)
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert (finding.status, finding.reason, finding.exit_status, finding.signal) == (status, reason, code, number)


async def test_what_cannot_be_executed_tells_why(attempts: Attempts) -> None:
    bad = attempts.base / "bad-interpreter"
    bad.write_text("#!/no/such/interpreter\n")
    bad.chmod(0o755)
    plain = attempts.base / "not-executable"
    plain.write_text("")
    (attempts.base / "python3").write_text("")
    unusable = {"PATH": str(attempts.base)}
    expected = [
        (attempts.make("no-such-program"), "no such file"),
        (attempts.make("/no/such/program"), "no such file"),
        (attempts.make(""), "no such file"),
        (attempts.make(str(plain)), "permission denied"),
        (attempts.make(str(bad)), "its interpreter is missing"),
        (attempts.make("true", "x" * 200_000), "its arguments and environment are too long"),
        (attempts.make("python3", "x" * 200_000), "its arguments and environment are too long"),
        (attempts.make("python3", environment=unusable), "permission denied"),
        (attempts.make("true", "\0"), "its arguments or environment are malformed"),
        (replace(attempts.make("true"), cwd=attempts.base / "missing"), "its directory is gone"),
    ]
    async with LocalBackend() as backend:
        await run(backend, *(attempt for attempt, _ in expected))
    for attempt, words in expected:
        finding = found(attempt)
        assert isinstance(finding, Ended)
        assert (finding.status, finding.reason) == (Status.ERROR, f"could not start: {words}")


async def test_python3_is_looked_up_in_the_path_before_python_and_links_are_not_followed(attempts: Attempts) -> None:
    first, second = attempts.base / "first", attempts.base / "second"
    for folder in (first, second):
        folder.mkdir()
    (attempts.base / "python3").symlink_to("/bin/echo")  # where the trial stands, which is no place of programs
    environment = {"PATH": f":.:{first}:{second}"}
    none = attempts.make("python3", environment=environment)
    async with LocalBackend() as backend:
        await run(backend, none)
        (first / "python").write_text("#!/bin/sh\necho $0 $1\n")
        (first / "python").chmod(0o755)
        other = attempts.make("python3", "other name", environment=environment)
        await run(backend, other)
        (second / "python3").symlink_to("../first/python")
        python = attempts.make("python3", "by its name", environment=environment)
        await run(backend, python)
    finding = found(none)
    assert isinstance(finding, Ended)
    words = "there is no python3 on the PATH: activate an environment that has Python"
    assert (finding.status, finding.reason) == (Status.ERROR, f"could not start: {words}")
    assert (other.directory / "output").read_text() == f"{first}/python other name\n"
    assert (python.directory / "output").read_text() == f"{second}/python3 by its name\n"


async def test_output_of_all_streams_and_children_is_one_file_in_the_order_written(
    attempts: Attempts,
) -> None:
    attempt = attempts.shell("echo 1; echo 2 >&2; sh -c 'echo 3; echo 4 >&2'; (echo 5 & wait); echo 6; cat")
    async with LocalBackend() as backend:
        await run(backend, attempt)
    assert (attempt.directory / "output").read_text().split() == list("123456")


async def test_a_trial_gets_its_own_environment_directory_and_arguments_byte_by_byte(
    attempts: Attempts,
) -> None:
    odd = "\udcff\udc80é"
    code = (
        "import os; print(os.environb[b'ODD'], os.getcwd(), os.fsencode(__import__('sys').argv[1]), sorted(os.environ))"
    )
    attempt = attempts.make(sys.executable, "-I", "-X", "utf8", "-c", code, odd, environment={"ODD": odd})
    os.environ["ONLY_THE_DAEMON_HAS_IT"] = "1"
    try:
        async with LocalBackend() as backend:
            await run(backend, attempt)
    finally:
        del os.environ["ONLY_THE_DAEMON_HAS_IT"]
    raw = odd.encode("utf-8", "surrogateescape")
    text = (attempt.directory / "output").read_text()
    assert text.startswith(f"{raw!r} {attempts.base} {raw!r} ")
    assert "ONLY_THE_DAEMON_HAS_IT" not in text


async def test_a_large_environment_comes_through(attempts: Attempts) -> None:
    environment = {f"NAME_{number}": "x" * 100_000 for number in range(10)}
    attempt = attempts.make("sh", "-c", "echo ${#NAME_9}", environment=environment)
    async with LocalBackend() as backend:
        await run(backend, attempt)
    assert (attempt.directory / "output").read_text() == "100000\n"


async def test_peak_memory_and_time_are_those_of_the_trial_and_its_children(
    attempts: Attempts,
) -> None:
    small = attempts.make("true")
    code = "x = bytearray(150 << 20); sum(range(5_000_000))"
    large = attempts.make("sh", "-c", f"{sys.executable} -I -c '{code}'; true")
    async with LocalBackend() as backend:
        await run(backend, small, large)
    little, much = found(small), found(large)
    assert isinstance(little, Ended)
    assert isinstance(much, Ended)
    assert little.usage.max_rss < 20 << 20
    assert 150 << 20 < much.usage.max_rss < 300 << 20
    assert much.usage.user_time + much.usage.system_time > 0.01
    assert much.stopped > much.started > 0


async def test_a_trial_has_no_descriptor_but_its_streams_and_its_lock(
    attempts: Attempts,
) -> None:
    attempt = attempts.shell("for fd in /proc/$$/fd/*; do readlink $fd; done")
    async with LocalBackend() as backend:
        await run(backend, attempt)
    names = [Path(line).name for line in (attempt.directory / "output").read_text().split()]
    assert sorted(names) == ["null", "output", "output", "trial.lock"]


async def test_a_trial_begins_with_default_signals_and_leads_a_session_of_its_own(
    attempts: Attempts,
) -> None:
    code = (
        "import os\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(*(int(status[name], 16) for name in ('SigBlk', 'SigPnd', 'ShdPnd')), os.getsid(0) == os.getpid())"
    )
    attempt = attempts.make(sys.executable, "-I", "-c", code)
    ignored = attempts.make("grep", "SigIgn", "/proc/self/status")
    async with LocalBackend() as backend:
        await run(backend, attempt, ignored)
    assert (attempt.directory / "output").read_text() == "0 0 0 True\n"
    mask = int((ignored.directory / "output").read_text().split()[1], 16)
    # The C library keeps two signals for itself, and what it starts begins with these ignored.
    assert {number for number in range(1, 65) if mask >> (number - 1) & 1} & signal.valid_signals() == set()


async def test_the_limit_of_descriptors_of_trials_is_the_one_given(
    attempts: Attempts,
) -> None:
    attempt = attempts.shell("ulimit -Sn; ulimit -Hn")
    async with LocalBackend(soft_nofile=321) as backend:
        await run(backend, attempt)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert (attempt.directory / "output").read_text().split() == ["321", str(hard)]


async def test_records_and_output_are_for_their_owner_alone_and_hold_no_environment(
    attempts: Attempts,
    bell: Bell,
) -> None:
    secret = "a-very-secret-value"
    attempt = attempts.make("sh", "-c", f"echo ready >{bell.path}; exec sleep 1000", environment={"SECRET": secret})
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
        started = read_facts(attempt.directory).started
        assert started is not None
        for pid in (started.shim_pid, backend.fork_server_pid):
            assert secret.encode() not in command_line(pid)
            assert b"sleep" not in command_line(pid)
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)
    for path in attempt.directory.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        assert secret.encode() not in path.read_bytes()


async def test_a_hundred_at_once_all_end_and_leave_neither_descriptor_nor_zombie(
    attempts: Attempts,
) -> None:
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        await at_rest(backend)
        many = [attempts.shell(f"exit {number}") for number in range(100)]
        before = len(descriptors())
        await run(backend, *many)
        await at_rest(backend)
        assert len(descriptors()) == before
        assert await backend.snapshot() == {}
        # It reaps before it answers the next request.
        last = attempts.shell(f"cat /proc/{backend.fork_server_pid}/task/*/children")
        await run(backend, last)
    codes = [finding.exit_status for finding in map(found, many) if isinstance(finding, Ended)]
    assert codes == list(range(100))
    assert len((last.directory / "output").read_text().split()) <= 2


async def test_a_running_trial_costs_one_descriptor_and_the_first_ones_a_leash(
    attempts: Attempts,
    bell: Bell,
) -> None:
    waiting = [attempts.shell(f"echo ready >{bell.path}; exec sleep 1000") for _ in range(10)]
    async with LocalBackend(leashes=3) as backend:
        await run(backend, attempts.make("true"))
        await at_rest(backend)
        before = len(descriptors())
        assert await backend.submit(waiting) == {}
        for _ in waiting:
            await bell.line()
        assert len(descriptors()) == before + len(waiting) + 3
        assert await backend.snapshot() == dict.fromkeys((attempt.token for attempt in waiting), State.ALIVE)
        await backend.cancel([attempt.token for attempt in waiting])
        await all_ended(backend, *waiting)


async def test_without_a_free_descriptor_a_submission_is_refused_and_never_ran(
    attempts: Attempts,
) -> None:
    attempt, later = attempts.shell("exit 0"), attempts.shell("exit 0")
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        await at_rest(backend)
        with spare_descriptors(0):
            refused = await backend.submit([attempt])
        assert list(refused) == [attempt.token]
        assert "too many open files" in refused[attempt.token]
        assert found(attempt) == NeverRan()
        await run(backend, later)


async def test_one_free_descriptor_is_enough_to_submit_and_watch(attempts: Attempts) -> None:
    attempt = attempts.shell("exit 3")
    async with LocalBackend() as backend:
        await run(backend, attempts.make("true"))
        await at_rest(backend)
        with spare_descriptors(1):
            assert await backend.submit([attempt]) == {}
        await all_ended(backend, attempt)
    finding = found(attempt)
    assert isinstance(finding, Ended)
    assert finding.reason == "exit 3"


async def test_a_directory_that_cannot_be_written_is_refused(attempts: Attempts) -> None:
    attempt = replace(attempts.make("true"), directory=attempts.base / "missing")
    async with LocalBackend() as backend:
        refused = await backend.submit([attempt])
    assert "no such file" in refused[attempt.token]


async def test_an_attempt_is_not_started_twice_in_one_directory(attempts: Attempts) -> None:
    attempt = attempts.shell("echo ran")
    async with LocalBackend() as backend:
        await run(backend, attempt)
        await run(backend, attempt)
    assert (attempt.directory / "output").read_text() == "ran\n"


async def test_a_fork_server_that_died_is_started_again_and_its_shims_live_on(
    attempts: Attempts,
    bell: Bell,
) -> None:
    first = attempts.shell(f"echo ready >{bell.path}; exec sleep 1000")
    async with LocalBackend() as backend:
        assert await backend.submit([first]) == {}
        await bell.line()
        server = backend.fork_server_pid
        assert server is not None
        os.kill(server, 9)
        await gone(server)
        await run(backend, attempts.make("true"))
        assert backend.fork_server_pid != server
        assert await backend.snapshot() == {first.token: State.ALIVE}
        await backend.cancel([first.token])
        await all_ended(backend, first)
    assert isinstance(found(first), Ended)


async def test_closing_the_backend_leaves_runs_running_and_no_process_of_its_own(
    attempts: Attempts,
    bell: Bell,
) -> None:
    before = children()
    attempt = attempts.shell(f"echo ready >{bell.path}; exec sleep 1000")
    async with LocalBackend() as backend:
        assert await backend.submit([attempt]) == {}
        await bell.line()
    assert children() <= before
    assert read_facts(attempt.directory).shim_alive
    async with LocalBackend() as backend:
        assert await backend.find({attempt.token: attempt.directory}) == {attempt.token}
        await backend.cancel([attempt.token])
        await all_ended(backend, attempt)


async def test_waiting_for_ends_that_is_given_up_loses_none(attempts: Attempts) -> None:
    attempt = attempts.make("true")
    async with LocalBackend() as backend:
        with anyio.move_on_after(0.01):
            await backend.ended()
        await run(backend, attempt)
        with anyio.move_on_after(0.01) as scope:
            await backend.ended()
        assert scope.cancelled_caught
