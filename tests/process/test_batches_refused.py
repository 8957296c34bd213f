"""Bad input to batches: refused with the flag, the file and row; nothing is made or changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.process.batch_client import BatchClient, raised

TRAIN = "x = 1.0\ny = 2\nz = 'a'\n"
ARGUMENTS = (
    "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n"
    "p.add_argument('--n', type=int, default=1)\np.add_argument('--kind', choices=['a', 'b'], default='a')\n"
    "p.parse_args()\n"
)

FLAGS = [
    (["lr=loguniform[0.1:0.01]"], {}, "lr=loguniform[0.1:0.01]: the lower bound 0.1 must be less than"),
    (["lr=[]"], {}, "lr"),
    (["lr=[0.1,abc]"], {}, "lr"),
    (["n=[1,2.5]"], {}, "n"),
    (["kind=[a,c]"], {}, "kind"),
    (["lrr=[1,2]"], {}, "lrr"),
    (["lr=range[0:1:0]"], {}, "lr"),
    (["lr=range[1:2:-1]"], {}, "lr"),
    (["lr=linspace[0:1:0]"], {}, "lr"),
    (["lr=logspace[1:2]"], {}, "lr"),
    (["lr=geomspace[0:1:3]"], {}, "lr"),
    (["lr=nonesuch[1:2]"], {}, "lr"),
    (["lr=loguniform[0:1]"], {}, "lr"),
    (["lr=uniform[1]"], {}, "lr"),
    (["n=[0.5:2]"], {}, "n"),
    (["lr=1"], {"optimizer": "random"}, "optimizer: random search has nothing to draw"),
    (["lr=[1,2]"], {"optimizer": "bayes"}, "optimizer"),
    (["lr=[1,2]"], {"max_trials": 0}, "max_trials"),
    (["lr=[1,2]"], {"max_trials": 1_000_001}, "max_trials"),
    (["lr=[0.1:0.2]"], {"max_trials": 2_000_000}, "max_trials"),
    (["n=range[1:2000]", "lr=range[1:1000]"], {}, "the grid has 2,000,000 trials"),
    (["n=range[1:100000000000]"], {}, ""),
    (["lr=[1,2]"], {"jobs": 0}, "jobs"),
    (["lr=[1,2]"], {"slots": 1000}, "slots"),
    (["lr=[1,2]"], {"retries": -1}, "retries"),
    (["lr=[1,2]"], {"random_seed": 2**32}, "random_seed"),
    (["lr=1"], {"jobs": 2}, "jobs"),
    (["lr=1"], {"max_trials": 2}, "max_trials"),
    (["lr=[1,2]", "@rows.csv"], {"rows": [{"lr": 1}]}, "rows"),
    (["@"], {}, "@"),
    (["@rows.csv", "@rows.csv"], {}, "@rows.csv"),
    (["@missing.csv"], {}, "missing.csv"),
    (["@rows.txt"], {}, "rows.txt"),
    (["@rows.csv"], {"optimizer": "random"}, "optimizer"),
    (["@unequal.csv"], {}, "unequal.csv: row 2"),
    (["@wrong.csv"], {}, "wrong.csv: row 2: n"),
    (["@unknown.csv"], {}, "unknown.csv: row 1: lrr"),
    (["@kinds.json"], {}, "kinds.json: row 2"),
    (["@empty.jsonl"], {}, "empty.jsonl"),
    (["@broken.jsonl"], {}, "broken.jsonl"),
    (["@folder.csv"], {}, "folder.csv"),
]


@pytest.fixture
def refusing(batches: BatchClient) -> BatchClient:
    batches.script("train.py", ARGUMENTS)
    batches.script("literals.py", TRAIN)
    for name, text in {
        "rows.csv": "lr,n\n0.1,1\n",
        "rows.txt": "lr,n\n0.1,1\n",
        "unequal.csv": "lr,n\n0.1,1\n0.1,1,3\n",
        "wrong.csv": "lr,n\n0.1,1\n0.1,a\n",
        "unknown.csv": "lrr,n\n0.1,1\n",
        "kinds.json": '[{"lr": 0.1}, 3]',
        "empty.jsonl": "",
        "broken.jsonl": '{"lr": 0.1}\n{"lr":\n',
    }.items():
        batches.script(name, text)
    (batches.machine.project / "folder.csv").mkdir()
    return batches


def test_what_is_wrong_is_named_and_nothing_is_made(refusing: BatchClient) -> None:
    last = refusing.last_event()
    for args, params, said in FLAGS:
        message = raised(lambda args=args, params=params: refusing.run("train.py", *args, **params))  # type: ignore[misc] # bound now
        assert message.startswith("invalid: "), (args, params, message)
        assert said in message, (args, params, message)
    assert refusing.call("list")["total"] == 0
    assert refusing.last_event() == last
    assert not list((refusing.machine.home / "sources").iterdir())


def test_a_refused_restart_changes_nothing(refusing: BatchClient) -> None:
    made = refusing.run("train.py", "lr=[0.1,0.2]", stage=True)
    batch = made["run"]["id"]
    before, last = (refusing.call("show", run=batch), refusing.trials(batch)), refusing.last_event()
    for args, params, said in FLAGS:
        if args == ["lr=1"] and params != {"optimizer": "random"}:
            continue  # of a batch
        message = raised(lambda args=args, params=params: refusing.restart(batch, *args, stage=True, **params))  # type: ignore[misc] # bound now
        assert message.startswith("invalid: "), (args, params, message)
        assert said in message, (args, params, message)
    assert (refusing.call("show", run=batch), refusing.trials(batch)) == before
    assert refusing.last_event() == last


def test_options_of_batches_are_refused_for_single_runs(refusing: BatchClient) -> None:
    made = refusing.run("train.py", "lr=[0.1,0.2]", stage=True)
    options: list[dict[str, Any]] = [
        {"jobs": 2},
        {"max_trials": 3},
        {"retries": 1},
        {"fail_fast": True},
        {"optimizer": "grid"},
        {"rows": [{"lr": 0.5}]},
    ]
    for given in options:
        message = raised(lambda given=given: refusing.restart(made["trials"][0], **given))  # type: ignore[misc] # bound now
        assert message.startswith(f"invalid: {next(iter(given))}: "), message
    assert refusing.attrs(made["trials"][0])["status"] == "staged"


def test_unknown_short_and_ambiguous_names(refusing: BatchClient) -> None:
    made = refusing.run("train.py", "lr=[0.1,0.2]", stage=True)
    trial = made["trials"][0]
    assert raised(lambda: refusing.restart("0" * 32)).startswith("not-found: ")
    assert raised(lambda: refusing.restart(made["run"]["id"][:3])).startswith("not-found: ")
    assert refusing.restart(made["run"]["id"][:12], stage=True)["trials"] == made["trials"]
    for method, params in (("list", {"batch": trial}), ("trials", {"batch": trial}), ("pause", {"batch": trial})):
        message = raised(lambda method=method, params=params: refusing.call(method, **params))  # type: ignore[misc] # bound now
        assert message.startswith("invalid: batch: "), message
