"""``python -m tests.faults.fuzz TARGET [libFuzzer's options] FOLDER...``: coverage-guided, with atheris (extra `fuzz`).

Inputs that reach what no other did are put into the first folder.  One that breaks a rule is written to ``crash-...``:
mend what it shows, and put it into ``tests/faults/corpus/TARGET``, whose inputs are tried in every run of the tests.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["rund.protocol", "rund.api"]):
    from tests.faults.fuzz_targets import TARGETS


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    # The memory peak of whoever started this process counts for libFuzzer as its own: no limit by default.
    atheris.Setup([sys.argv[0], "-rss_limit_mb=0", *sys.argv[1:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
