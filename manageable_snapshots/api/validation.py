# SPDX-License-Identifier: Apache-2.0

"""Check a body against a schema, with Cinder's messages."""

from collections.abc import Iterator
from typing import Any
import unicodedata

import jsonschema
from oslo_utils import uuidutils

from manageable_snapshots.api import request
from manageable_snapshots import exception
from manageable_snapshots.i18n import _

_formats = jsonschema.FormatChecker(formats=())


@_formats.checks('uuid')
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or uuidutils.is_uuid_like(value)


def _printable(validator: Any, wanted: bool, value: object,
               schema: Any) -> Iterator[jsonschema.ValidationError]:
    """``printable: True``: the characters of Cinder's descriptions.

    Cinder has a regular expression of 10,000 characters for them, and shows
    it to users.
    """
    # The expression ends with a $, which lets a line feed pass.
    if isinstance(value, str) and wanted and not all(
            map(_is_printable, value.removesuffix('\n'))):
        yield jsonschema.ValidationError(
            _('%r has characters that cannot be printed') % value)


def _is_printable(character: str) -> bool:
    if character >= '\uffff':
        return False
    category = unicodedata.category(character)
    return category[0] not in 'CZ' or category == 'Zs'


_Validator = jsonschema.validators.extend(
    jsonschema.Draft4Validator, {'printable': _printable})


def compile(schema: dict[str, Any]) -> Any:
    """Make a schema ready for :func:`body`: once, where it is defined.

    The order of the keywords and properties is the order in which errors are
    looked for.

    :param schema: JSON Schema, draft 4
    """
    _Validator.check_schema(schema)
    return _Validator(schema, format_checker=_formats)


def body(req: request.Request, schema: Any, *,
         may_be_flawed: bool = False) -> dict[str, Any]:
    """Return the request's body, which fits the schema.

    :param schema: from :func:`compile`
    :param may_be_flawed: the handler authorizes the caller first, and calls
        :func:`require_sound` then: Cinder does not know these flaws
    :raises MalformedRequestBody: there is no body
    :raises ValidationError: it does not fit
    """
    if req.json is request.NO_BODY:
        raise exception.MalformedRequestBody()
    if not may_be_flawed:
        require_sound(req)
    try:
        for error in schema.iter_errors(req.json):
            raise exception.ValidationError(detail=_describe(error))
    except RecursionError:
        # Of a flawed one, which is nested too deeply to be shown.
        require_sound(req)
        raise
    return req.json


def require_sound(req: request.Request) -> None:
    """Raise unless the body may be worked with.

    :raises MalformedRequestBody: it is flawed
    """
    if req.flaw is not None:
        raise req.flaw


def _describe(error: jsonschema.ValidationError) -> str:
    if not error.path:
        return error.message
    return _('Invalid input for field/attribute %(path)s. Value: %(value)s. '
             '%(message)s') % {'path': error.path[-1],
                               'value': error.instance,
                               'message': error.message}
