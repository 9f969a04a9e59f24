# SPDX-License-Identifier: Apache-2.0

"""Messages from whoever the broker lets send: any method, context, argument.

A worker answers with an error of Cinder's, or does what it is for. It never
raises what it did not foresee, and is there for the next message.
"""

from typing import Any

from hypothesis import strategies as st
import oslo_messaging as messaging

from manageable_snapshots.db import models
from manageable_snapshots.db import quota
from manageable_snapshots.db import snapshots
from manageable_snapshots.db import volumes
from manageable_snapshots.rpc import versions
from manageable_snapshots.tests.functional import fixtures
from manageable_snapshots.tests.functional.fuzz import base
from manageable_snapshots.tests.functional.fuzz import values

#: the errors that are answers
_ERRORS = ('InvalidInput', 'NoSuchMethod', 'UnsupportedVersion',
           'ManageExistingInvalidReference', 'DriverCannot')

_VERSIONS = st.sampled_from(
    (versions.RPC_VERSION, '3.0', '3.999', '4.0', '1.0', '2.99'))
_METHODS = st.sampled_from((
    'manage_existing_snapshot', 'get_manageable_snapshots',
    'get_manageable_snapshots', 'manage_existing_snapshot',
    'get_capabilities', 'publish_service_capabilities', 'resume', 'stop',
    '__init__', '_adopter', 'target'))
_FIELDS = st.dictionaries(st.sampled_from((
    'id', 'volume_id', 'project_id', 'status', 'metadata')),
    values.TEXT | values.JSON, max_size=4)
_OBJECTS = st.builds(
    lambda name, namespace, version, data: {
        'versioned_object.name': name,
        'versioned_object.namespace': namespace,
        'versioned_object.version': version,
        'versioned_object.data': data},
    st.sampled_from(('Snapshot', 'Volume', 'Consumer')) | values.JSON,
    st.sampled_from(('cinder', 'nova')) | values.JSON,
    st.sampled_from(('1.6', '1.999', '2.0')) | values.JSON,
    _FIELDS | values.JSON) | values.JSON
_ARGUMENTS = st.fixed_dictionaries({}, optional={
    'snapshot': _OBJECTS,
    'ref': values.REFERENCES | values.JSON,
    'marker': values.REFERENCES | values.JSON,
    'limit': values.JSON, 'offset': values.JSON,
    'sort_keys': st.just(['size']) | values.JSON,
    'sort_dirs': st.just(['asc']) | values.JSON,
    'want_objects': values.JSON, 'pool': values.JSON,
    'source_name': values.JSON, 'volume_id': values.JSON,
    'safe_to_manage': values.JSON, 'marker_size': values.JSON,
    'discover': values.JSON, 'more': values.JSON})
_CONTEXTS = st.dictionaries(st.sampled_from((
    'user_id', 'project_id', 'is_admin', 'roles', 'timestamp', 'auth_token',
    'request_id', 'global_request_id', 'service_catalog', 'user_domain',
    'read_deleted', 'quota_class', 'remote_address')),
    values.TEXT | values.JSON, max_size=5)
_LIST = {'marker': None, 'limit': 10, 'offset': 0,
         'sort_keys': ['reference'], 'sort_dirs': ['asc']}


class MessagesTest(base.FuzzTestCase):

    def setUp(self) -> None:
        super().setUp()
        #: rows of which nobody heard who may ask for them
        self.refused: set[str] = set()

    def call(self, method: str, context: Any, version: str,
             arguments: dict[str, Any]) -> Any:
        target = messaging.Target(
            topic=f'{versions.VOLUME_TOPIC}.{values.HOST}',
            server=fixtures.HOST, version=version)
        return messaging.get_rpc_client(
            self.service.transport, target, timeout=20,
        ).call(context, method, **arguments)

    def try_one(self, example: tuple[Any, ...]) -> None:
        try:
            self.call(*example)
        except messaging.RemoteError as error:
            self.assertIn(error.exc_type, _ERRORS)
            self.check_answer(400, str(error.value))
        except (ValueError, TypeError, AttributeError, UnicodeError):
            # The client's own end.
            pass
        self.check_log()

    def test_any_message(self) -> None:
        self.fuzz(st.tuples(_METHODS, _CONTEXTS | values.JSON, _VERSIONS,
                            _ARGUMENTS), self.try_one)

    def test_any_argument_of_a_list(self) -> None:
        changed = st.tuples(
            st.sampled_from(sorted({
                *_LIST, 'want_objects', 'pool', 'source_name', 'volume_id',
                'safe_to_manage', 'marker_size'})),
            values.JSON).map(lambda pair: {**_LIST, pair[0]: pair[1]})
        self.fuzz(st.tuples(
            st.just('get_manageable_snapshots'), _CONTEXTS,
            st.just(versions.RPC_VERSION), changed), self.try_one)

    def test_any_object(self) -> None:
        self.fuzz(st.tuples(
            st.just('manage_existing_snapshot'), _CONTEXTS,
            st.just(versions.RPC_VERSION),
            st.fixed_dictionaries({
                'snapshot': _OBJECTS, 'ref': values.REFERENCES})),
            self.try_one)

    def test_any_reference_and_context_of_a_row_that_waits(self) -> None:
        """As a stock API would send it, which lets anything pass."""
        self.fuzz(st.tuples(
            _CONTEXTS | st.just({'is_admin': True}),
            values.REFERENCES | values.JSON), self.adopt)
        with self.service.database.reader(self.service.context) as session:
            # Who may not ask for it leaves it as it was.
            self.assertEqual(
                self.refused, {row.id for row in session.query(
                    models.Snapshot).filter_by(status='creating')})

    def adopt(self, example: tuple[Any, Any]) -> None:
        context, ref = example
        with self.service.database.writer(self.service.context) as session:
            volume = volumes.get(
                session, self.service.context, fixtures.VOLUME)
            quota.charge(
                session, self.service.conf, self.service.context,
                project_id=fixtures.PROJECT, volume_type=None, snapshots=1,
                gigabytes=volume.size, size=volume.size)
            row = snapshots.create(
                session, self.service.context, volume, name=None,
                description=None, metadata=None).id
        try:
            self.call('manage_existing_snapshot', context,
                      versions.RPC_VERSION,
                      {'snapshot': {'id': row}, 'ref': ref})
        except messaging.RemoteError as error:
            self.assertEqual('InvalidInput', error.exc_type)
            self.check_answer(400, str(error.value))
            self.refused.add(row)
        self.check_log()

    def unsettled(self) -> list[str]:
        return [each for each in super().unsettled()
                if each not in self.refused]
