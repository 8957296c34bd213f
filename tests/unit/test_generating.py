"""What is held of generated trials until they are stored."""

from __future__ import annotations

import pytest

from rund.errors import InvalidError
from rund.handlers import generating
from rund.handlers.generating import Generated, generate_flags
from rund.model.batch import Prototype
from rund.model.operation import Operation, OperationKind
from rund.model.run import Setup
from rund.model.space import Choices, Space
from rund.model.values import Flags

OPERATION = Operation(
    name="true", kind=OperationKind.EXECUTABLE, entry="/bin/true", project_dir="/", cwd="/", target="/bin/true"
)
SETUP = Setup(operation="o", source=None, environment="e", random_seed=1)


def generated(fixed: Flags, **lists: list[str]) -> Generated:
    varying = {name: Choices(values=tuple(values)) for name, values in lists.items()}
    prototype = Prototype(space=Space(fixed=fixed, varying=dict(varying)))
    return generate_flags(prototype, OPERATION, SETUP, force=True)


@pytest.mark.parametrize("fixed", [{"text": "x" * 600}, {}], ids=["what each has", "what varies"])
def test_the_texts_of_all_trials_have_a_bound(monkeypatch: pytest.MonkeyPatch, fixed: Flags) -> None:
    monkeypatch.setattr(generating, "MAX_TEXT", 1300)
    assert len(generated(fixed, a=["1", "2"]).texts) == 2
    with pytest.raises(InvalidError, match="the flags of 3 trials have more than 1,300 characters"):
        generated(fixed, a=["1" * 600, "2" * 600, "3" * 600])
