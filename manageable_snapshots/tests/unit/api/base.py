# SPDX-License-Identifier: Apache-2.0

"""The extension's URLs over a database, with workers that only listen."""

from manageable_snapshots.api import app
from manageable_snapshots.api import urls
from manageable_snapshots.tests.unit.standalone.api import base

HOST = base.HOST
PROJECT = base.PROJECT
OTHER_PROJECT = base.OTHER_PROJECT


class VolumeClient(base.VolumeClient):
    """Besides, answers lists.

    :ivar entries: what the backend holds
    :ivar asked: the arguments of the last list
    :ivar is_ours: whether the workers are this project's
    """

    def __init__(self):
        super().__init__()
        self.entries = []
        self.asked = None
        self.is_ours = True

    def carries_on(self, queue):
        return self.is_ours

    def get_manageable_snapshots(self, context, queue, *, limit, **arguments):
        if self.failure:
            raise self.failure
        self.asked = {'queue': queue, 'limit': limit, **arguments}
        return self.entries[:limit]

    def manage_existing_snapshot(self, context, queue, snapshot, ref,
                                 waited):
        cast = self.__getattr__('manage_existing_snapshot')
        cast(context, queue, snapshot, ref=ref)


class ApiTestCase(base.StandaloneTestCase):

    def setUp(self):
        super().setUp()
        self.client = VolumeClient()
        self.app = self.application()

    def application(self, **options):
        return app.Application(
            self.conf, self.database, self.client,
            urls.MANAGEABLE_SNAPSHOTS,
            **options)

    def adopt(self, volume_id, ref={'source-name': 'old'}, *, version='3.8',
              status=202, requester=None, **properties):
        """The snapshot in the answer, or the message of an error."""
        answer = self.ask(
            'POST', '/manageable_snapshots',
            {'snapshot': {'volume_id': volume_id, 'ref': ref, **properties}},
            version=version, status=status, requester=requester)
        inner, = answer.values()
        return inner if status == 202 else inner['message']

    def list(self, query, *, version='3.8', **options):
        return self.ask('GET', f'/manageable_snapshots?{query}',
                        version=version, **options)
