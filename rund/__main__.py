"""``python -m rund`` is ``rund``."""

import sys

from rund.cli import main

if __name__ == "__main__":
    sys.exit(main())
