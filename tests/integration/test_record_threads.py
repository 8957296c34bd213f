"""Records are read by many threads at once, also the very first ones of a process."""

from __future__ import annotations

import subprocess
import sys

FIRST_READS = """
import sys, threading
from rund.executor.framing import frame_fields
from rund.executor.records import read_exit

sys.setswitchinterval(1e-6)
data = frame_fields({
    "token": "t", "boot_id": "b", "wait_status": 0, "exit_status": 0, "signal": None, "core": False,
    "exec_errno": None, "exec_step": None, "stopped": False,
    "usage": {"max_rss": 1, "user_time": 0.0, "system_time": 0.0}, "started": 1.0, "ended": 2.0, "boottime": 3.0,
})
together, read = threading.Barrier(8), []

def read_first():
    together.wait()
    read.append(read_exit(data))

threads = [threading.Thread(target=read_first) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(read) == 8 and len(set(read)) == 1
"""


def test_the_first_records_of_a_process_may_be_read_by_many_threads_at_once() -> None:
    for _ in range(40):
        subprocess.run([sys.executable, "-c", FIRST_READS], check=True)
