# SPDX-License-Identifier: Apache-2.0

"""Names that a storage has, any bytes, as text and back."""

import re
import urllib.parse

# What is not text, what does not show, and what would be taken for an escape.
_ESCAPED = re.compile('[%\x00-\x1f\x7f-\x9f\udc80-\udcff]')


def shown(name: bytes) -> str:
    """A name for people, and for a ``source-name``: text as it is."""
    return name.decode('utf-8', 'backslashreplace')


def quote(name: bytes) -> str:
    """A name for a ``source-id``: no other one has the same text."""
    return _ESCAPED.sub(
        lambda match: ''.join(f'%{byte:02X}' for byte in match.group().encode(
            'utf-8', 'surrogateescape')),
        name.decode('utf-8', 'surrogateescape'))


def unquote(text: str) -> bytes:
    """The name of which :func:`quote` made a text."""
    return urllib.parse.unquote_to_bytes(text)
