# SPDX-License-Identifier: Apache-2.0

"""The OpenAPI description of the API: the table of URLs and the schemas.

``python -m manageable_snapshots.tests.openapi FILE`` writes it. What a request
may carry is read from what the service itself checks by, so a description
that is fresh cannot promise anything else.
"""

from collections.abc import Iterator
import json
import pathlib
import re
import sys
from typing import Any

from manageable_snapshots.api import microversion
from manageable_snapshots.api import schemas
from manageable_snapshots.api import urls
from manageable_snapshots.standalone.api import schemas as standalone_schemas
from manageable_snapshots.standalone.api import urls as standalone_urls

_TITLE = 'Manageable snapshots'
_PREFIX = '/v3'
_EXTENSION = 'snapshot-manage'
_COMPANION = 'companions'

_STRING = {'type': 'string'}
_OPTIONAL = {'type': ['string', 'null']}
_STRINGS = {'type': 'object', 'additionalProperties': _STRING}

#: what the service checks bodies by, by names of their own
_BODIES: dict[str, Any] = {
    'Adopt': schemas.ADOPT,
    'CreateVolume': standalone_schemas.VOLUME,
    'CreateSnapshot': standalone_schemas.SNAPSHOT,
    'Unmanage': standalone_schemas.UNMANAGE,
}

#: the bodies of POST
_POSTS = {
    '/manageable_snapshots': 'Adopt',
    '/os-snapshot-manage': 'Adopt',
    '/volumes': 'CreateVolume',
    '/snapshots': 'CreateSnapshot',
    '/snapshots/{snapshot_id}/action': 'Unmanage',
}

#: what POST and DELETE answer with where all is well
_ACCEPTED = 202

_QUERY: dict[str, dict[str, Any]] = {
    'host': {**_STRING, 'description':
             'host@backend or host@backend#pool; or cluster.'},
    'cluster': {**_STRING, 'description':
                'cluster@backend or cluster@backend#pool, from 3.17.'},
    'limit': {'type': 'integer', 'minimum': 0, 'description':
              'Most entries of the page.'},
    'marker': {**_STRING, 'description':
               'Reference of the last entry of the page before, as JSON.'},
    'offset': {'type': 'integer', 'minimum': 0, 'maximum': 0x7fffffff,
               'description': 'Entries to leave out.'},
    'marker_size': {'type': 'integer', 'minimum': -1, 'maximum': 0x7fffffff,
                    'description': 'Size that the snapshot of the marker had, '
                                   'GiB, or -1 for none.'},
    'source_name': {'type': 'string', 'minLength': 1, 'description':
                    'How the names of the snapshots begin.'},
    'volume_id': {'type': 'string', 'format': 'uuid', 'description':
                  'Whose snapshots.'},
    'safe_to_manage': {'type': 'boolean'},
    'sort': {**_STRING, 'description':
             'reference or size, with :asc or :desc, in a list of commas.'},
    'sort_key': {'type': 'string', 'enum': ['reference', 'size']},
    'sort_dir': {'type': 'string', 'enum': ['asc', 'desc']},
}

_COMPANION_QUERY: dict[str, dict[str, Any]] = {
    'limit': {'type': 'integer', 'minimum': 0},
    'marker': {**_STRING, 'description': 'Id of the row before the page.'},
    'all_tenants': {'type': 'boolean'},
}

_SUMMARY = {
    'type': 'object',
    'properties': {
        'reference': _STRINGS,
        'source_reference': _STRINGS,
        'size': {'type': ['integer', 'null'], 'description': 'GiB.'},
        'safe_to_manage': {'type': 'boolean'},
    },
    'required': ['reference', 'source_reference', 'size', 'safe_to_manage'],
}

_SCHEMAS: dict[str, Any] = {
    'Summary': _SUMMARY,
    'Detail': {
        'type': 'object',
        'properties': {
            **_SUMMARY['properties'],  # type: ignore[dict-item]
            'reason_not_safe': _OPTIONAL,
            'cinder_id': _OPTIONAL,
            'extra_info': {'type': ['object', 'null']},
        },
        'required': [*_SUMMARY['required'], 'reason_not_safe', 'cinder_id',
                     'extra_info'],
    },
    'Snapshot': {
        'type': 'object',
        'properties': {
            'id': {'type': 'string', 'format': 'uuid'},
            'created_at': _STRING,
            'updated_at': _OPTIONAL,
            'name': _OPTIONAL,
            'description': _OPTIONAL,
            'volume_id': {'type': 'string', 'format': 'uuid'},
            'status': _STRING,
            'size': {'type': 'integer', 'description': 'GiB.'},
            'metadata': _STRINGS,
        },
        'required': ['id', 'created_at', 'updated_at', 'name', 'description',
                     'volume_id', 'status', 'size', 'metadata'],
    },
    'Fault': {
        'type': 'object',
        'minProperties': 1,
        'maxProperties': 1,
        'additionalProperties': {
            'type': 'object',
            'properties': {
                'code': {'type': 'integer'},
                'message': _STRING,
            },
            'required': ['code', 'message'],
        },
    },
}


def document() -> dict[str, Any]:
    """The description, OpenAPI 3.1, as JSON has it."""
    paths: dict[str, Any] = {
        '/': {'get': _operation('GET', '/', _EXTENSION, status=300)},
    }
    for path, method, tag in _rows():
        for project in ('', '/{project_id}') if path != '/' else ('',):
            paths.setdefault(_PREFIX + project + path, {})[method.lower()] = (
                _operation(method, project + path, tag))
    return {
        'openapi': '3.1.0',
        'info': {
            'title': _TITLE,
            'version': microversion.to_string(microversion.MAX),
            'license': {'name': 'Apache-2.0',
                        'identifier': 'Apache-2.0'},
        },
        'tags': [
            {'name': _EXTENSION,
             'description': 'In Cinder, and where the service runs alone.'},
            {'name': _COMPANION,
             'description': 'Where the service runs alone; in Cinder these '
                            'are its own.'},
        ],
        'security': [{'token': []}],
        'paths': paths,
        'components': {
            'schemas': {
                **_SCHEMAS,
                **{name: _plain(body.schema)
                   for name, body in _BODIES.items()},
            },
            'securitySchemes': {
                'token': {'type': 'apiKey', 'in': 'header',
                          'name': 'X-Auth-Token'},
            },
        },
    }


def _rows() -> Iterator[tuple[str, str, str]]:
    """Path, method and tag of everything that has a function."""
    for tag, table in ((_EXTENSION, standalone_urls.VERSION),
                       (_EXTENSION, urls.MANAGEABLE_SNAPSHOTS),
                       (_COMPANION, standalone_urls.VOLUMES)):
        for path, methods in table:
            for method, handler in methods.items():
                if handler is not None and method != 'HEAD':
                    yield path, method, tag


def _operation(method: str, path: str, tag: str, *,
               status: int = 200) -> dict[str, Any]:
    own = path.removeprefix('/{project_id}')
    operation: dict[str, Any] = {
        'tags': [tag],
        'parameters': [*_parameters(method, path, own, tag)],
        'responses': {
            str(status if method == 'GET' else _ACCEPTED):
                _answer(own, method),
            'default': _json('A fault.', _named('Fault')),
        },
    }
    if method == 'POST':
        operation['requestBody'] = {
            'required': True,
            'content': {'application/json': {'schema': _named(_POSTS[own])}},
        }
    return operation


def _parameters(method: str, path: str, own: str,
                tag: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r'{(\w+)}', path):
        yield {'name': name, 'in': 'path', 'required': True,
               'schema': _STRING}
    yield {'name': microversion.HEADER, 'in': 'header',
           'schema': {'type': 'string',
                      'pattern': r'^volume (latest|3\.[0-9]{1,2})$'}}
    if method == 'GET' and own != '/' and '{' not in own:
        known = _QUERY if tag == _EXTENSION else _COMPANION_QUERY
        if own == '/os-services':
            known = {'host': _STRING, 'binary': _STRING}
        for name, schema in known.items():
            yield {'name': name, 'in': 'query', 'schema': schema}


def _answer(own: str, method: str) -> dict[str, Any]:
    if own.startswith(('/manageable_snapshots', '/os-snapshot-manage')):
        if method == 'POST':
            return _json('It is being adopted.',
                         _object(snapshot=_named('Snapshot')))
        kind = 'Detail' if own.endswith('/detail') else 'Summary'
        page = _object(**{'manageable-snapshots': {
            'type': 'array', 'items': _named(kind)}})
        page['properties']['manageable-snapshots_links'] = {
            'type': 'array', 'items': _object(rel=_STRING, href=_STRING)}
        return _json('A page of what the backend holds.', page)
    if own == '/':
        return _json('The versions.', _object(versions={'type': 'array'}))
    if method == 'DELETE' or own.endswith('/action'):
        return {'description': 'It is being done.'}
    return _json('As Cinder answers.', {'type': 'object'})


def _named(name: str) -> dict[str, str]:
    return {'$ref': f'#/components/schemas/{name}'}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {'description': description,
            'content': {'application/json': {'schema': schema}}}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {'type': 'object', 'properties': properties,
            'required': list(properties)}


def _plain(schema: Any) -> Any:
    """A schema without the keyword that only this project knows."""
    if isinstance(schema, dict):
        return {name: _plain(value) for name, value in schema.items()
                if name != 'printable'}
    if isinstance(schema, list):
        return [_plain(value) for value in schema]
    return schema


def text() -> str:
    """The description as it is shipped."""
    return json.dumps(document(), indent=1) + '\n'


if __name__ == '__main__':
    pathlib.Path(sys.argv[1]).write_text(text(), encoding='utf-8')
