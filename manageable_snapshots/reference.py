# SPDX-License-Identifier: Apache-2.0

"""References: how a request names a snapshot that the backend holds.

A reference is a dict of strings. ``source-name`` is the snapshot's name on
the backend and ``source-id`` its identifier there, for where names repeat.
Either is enough. What they mean is the driver's business; here is what holds
for every driver, and what the API and the worker both check.
"""

from collections.abc import Mapping
import json
from typing import Any

from manageable_snapshots import exception
from manageable_snapshots.i18n import _

Reference = dict[str, str]

#: The keys of which a reference has one at least, in the order in which they
#: count for sorting. ``name`` is what some of Cinder's drivers call it (3PAR,
#: Pure Storage, Zadara).
KEYS = ('source-name', 'name', 'source-id')


def parse(ref: Any) -> Reference:
    """Check a reference as it came from outside.

    :param ref: ``{'source-name': 'x'}`` and the like, or the name alone,
        which stands for ``{'source-name': name}``
    :returns: a new dict
    :raises InvalidInput: it cannot be a reference of any backend
    """
    if isinstance(ref, str):
        ref = {'source-name': ref}
    if not isinstance(ref, Mapping):
        raise _invalid(_('it must be an object or a string'))
    for name, value in ref.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise _invalid(_('its values must be strings'))
        for text in (name, value):
            if not _is_text(text):
                raise _invalid(_('it must not have characters that no name '
                                 'can have'))
    known = [name for name in KEYS if name in ref]
    if not known:
        raise _invalid(_('it needs source-name or source-id'))
    for name in known:
        if not ref[name]:
            raise _invalid(_('%s must not be empty') % name)
    return dict(ref)


def parse_marker(marker: Any) -> Reference | None:
    """Check the ``marker`` of a list: a reference, as JSON or as it is.

    :param marker: JSON text, a dict, or nothing
    :returns: None for the empty string and for None
    :raises InvalidInput: there can be no such marker; worded as Cinder does
    """
    if marker is None or marker == '':
        return None
    if isinstance(marker, str):
        try:
            marker = json.loads(marker)
        except (ValueError, RecursionError):
            raise exception.InvalidInput(
                reason=_('marker %s can not be analysed, please use json '
                         'like format') % shown(marker)) from None
    try:
        return parse(marker)
    except exception.InvalidInput:
        raise marker_not_found(marker) from None


def marker_not_found(marker: Any) -> exception.InvalidInput:
    """The error for a marker that is on no page."""
    return exception.InvalidInput(
        reason=_('marker not found: %s') % shown(marker))


def key(ref: Mapping[str, str]) -> str:
    """A string that stands for a reference: equal, ordered, hashable alike.

    References are ordered by name first.

    :raises TypeError: it is no mapping of strings
    :raises ValueError: a string in it has a NUL, which no reference has
    """
    first = next((name for name in KEYS if name in ref), '')
    # Nothing sorts before NUL: names are compared as if they stood alone.
    text = '\0'.join((ref[first] if first else '', first, *(
        word for name in sorted(ref) if name != first
        for word in (name, ref[name]))))
    if text.count('\0') != 2 * len(ref) - (1 if first else -1):
        raise ValueError(shown(ref))
    return text


def from_key(text: str) -> Reference:
    """The reference that a :func:`key` stands for."""
    value, first, *rest = text.split('\0')
    ref = {first: value} if first else {}
    ref.update(zip(rest[::2], rest[1::2]))
    return ref


def matches(wanted: Mapping[str, str], listed: Mapping[str, str]) -> bool:
    """Whether a reference says nothing that a listed one does not.

    ``{'source-name': 'x'}`` matches ``{'source-name': 'x', 'source-id':
    '7'}``, as does the latter itself.
    """
    return wanted.items() <= listed.items()


def shown(value: Any, length: int = 255) -> str:
    """Return foreign input for a message: one line, and not too long.

    :param length: characters, at most
    """
    try:
        text = (value if isinstance(value, str) and value.isprintable()
                else repr(value))
    except RecursionError:
        text = '...'
    return text if len(text) <= length else text[:length - 3] + '...'


def _is_text(text: str) -> bool:
    # A lone surrogate is what JSON has for "\ud800": neither a database nor
    # a backend takes it.
    return '\0' not in text and not any(
        '\ud800' <= character <= '\udfff' for character in text)


def _invalid(reason: str) -> exception.InvalidInput:
    return exception.InvalidInput(
        reason=_('ref is not a reference to a snapshot: %s.') % reason)
