"""The contract between clients and the daemon: method names, typed params and results.

`PROTOCOL` goes up when a client of an earlier one would misread an answer.
"""

PROTOCOL = 1
