"""Every method, with any params, over the real socket: an answer, or an error that tells what is wrong.

Longer, each time with others: ``RUND_FULL=1``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from runctl.client import Client

from rund.api.params import METHODS
from rund.errors import CODES, RundError
from rund.protocol import encode_request
from tests.faults.any_params import any_params
from tests.faults.full_form import FULL
from tests.integration.serving import Client as PlainClient
from tests.process.conftest import DEADLINE, Machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A daemon with a run, a batch, and one in the trash."""
    machine = Machine(tmp_path_factory.mktemp("any"))
    try:
        machine.start()
        path = machine.script("echo.py", "x = 1\nprint(x)\n")
        with Client(machine.env, start=False) as client:
            for flags in ({"x": 1}, {"x": [1, 2]}, {"x": 3}):
                run = client.run(path, flags=flags, env=machine.env)
                assert run.wait(DEADLINE)
            run.delete()
        yield machine
    finally:
        machine.close()


@pytest.mark.timeout(3600 if FULL else 300)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_any_params_are_answered_or_refused_in_clear_words(machine: Machine, method: str) -> None:
    @settings(
        max_examples=1000 if FULL else 20,
        derandomize=not FULL,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        params = data.draw(any_params(method, "echo.py", str(machine.project)))
        try:
            request = encode_request(1, method, params)
        except RundError:
            return  # it cannot be sent
        client.socket.sendall(request)
        response = client.response()
        assert response.msgid == 1
        if response.error is None:
            assert isinstance(response.result, dict)
            return
        code, separator, message = response.error.partition(": ")
        assert separator
        assert code in CODES
        assert code != "internal", (params, response.error)
        assert message.strip()
        assert "Traceback" not in message
        assert len(response.error) < 10_000

    with PlainClient(machine.socket) as client:
        client.socket.settimeout(DEADLINE)
        ask()
        client.socket.sendall(encode_request(2, "status", []))
        assert client.response().error is None, "the connection goes on"
    log = (machine.folder / "rund.log").read_text()
    assert "Traceback" not in log, log[-5000:]
