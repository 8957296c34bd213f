"""Whether the fault tests take their full form: every point instead of some, and for as long as it takes."""

from __future__ import annotations

import os
from typing import Final

FULL: Final = os.environ.get("RUND_FULL") == "1"
