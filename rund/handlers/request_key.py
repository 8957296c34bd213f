"""What a request that named itself is known by: the digest of its method and params, as JSON.

JSON tells 1 from 1.0 and from "1"; names are sorted, for maps have no order.  The text is made a value at a time: of a
large request it may be made in a thread, which lets others have their turns between two of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from rund.api.params import ChangeParams, Params
from rund.errors import InvalidError
from rund.handlers.context import RequestKey

_encode: Final = json.JSONEncoder(sort_keys=True, default=repr).encode


def request_key(method: str, params: Params) -> RequestKey | None:
    """The key of a request; None if it did not name itself.  Raises `InvalidError` for names that are no text."""
    if not isinstance(params, ChangeParams) or params.request_id is None:
        return None
    digest = hashlib.blake2b(digest_size=16)
    try:
        for text in texts([method, msgspec.structs.asdict(params)], depth=3):
            digest.update(text.encode())
    except TypeError:
        raise InvalidError("the names in a map are text: give strings") from None
    return RequestKey(request_id=params.request_id, digest=digest.hexdigest())


def texts(value: Any, depth: int) -> Iterator[str]:  # noqa: ANN401 - whatever the wire carries
    """The JSON of ``value``, of whose lists and maps each value stands apart, ``depth`` of them deep."""
    if not depth or not value or not isinstance(value, list | dict):
        yield _encode(value)
        return
    is_list = isinstance(value, list)
    yield "[" if is_list else "{"
    for at, each in enumerate(value if is_list else sorted(value)):
        if at:
            yield ", "
        if is_list:
            yield from texts(each, depth - 1)
        else:
            yield f"{_encode(each)}: "
            yield from texts(value[each], depth - 1)
    yield "]" if is_list else "}"
