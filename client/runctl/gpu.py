"""Whether a run started from here would see a GPU."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # typing's own costs the start; checkers know the name
if TYPE_CHECKING:
    from collections.abc import Mapping

HINT = "A GPU is seen, and several trials may run at once: --jobs 1 runs them one after the other"
_DEVICE = "/dev/nvidia0"


def is_gpu_seen(environ: Mapping[str, str], *, device: str = _DEVICE) -> bool:
    """Whether ``CUDA_VISIBLE_DEVICES`` names one, or where it is not set, whether ``device`` is there."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return visible.strip() not in ("", "-1", "NoDevFiles")  # the latter two are how CUDA is told: none
    return os.access(device, os.F_OK)
