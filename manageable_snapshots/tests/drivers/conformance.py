# SPDX-License-Identifier: Apache-2.0

"""What every native driver must do, as tests.

To run them against another driver, mix them into a test case of testtools or
oslotest and say how its storage is got at::

    from manageable_snapshots.tests.drivers import conformance
    from oslotest import base

    class TestMine(conformance.DriverConformance, base.BaseTestCase):

        def new_driver(self): ...
        def make_volume(self, volume, size): ...
        ...

``names`` and the other hooks look at the storage itself, past the driver, and
call snapshots as rows do (the driver's ``managed_name``). A driver that makes
no promise of a kind overrides the test and says why.
"""

import abc
from collections.abc import Callable
from collections.abc import Iterable
from concurrent import futures
import contextlib
import functools
import itertools
import json
import pkgutil
import threading
import time
from typing import Any
from unittest import mock
import uuid

from manageable_snapshots import conf as configuration
from manageable_snapshots.drivers import base
from manageable_snapshots.drivers import loader
from manageable_snapshots import exception
from manageable_snapshots import reference

#: what one gets to see as names of snapshots
WEIRD_NAMES = (
    'with space', ' padded ', 'tab\t', 'line\nbreak', "quo'te", 'quo"te',
    'back\\slash', 'sla/sh', '-dash', '--', '--help', 'at@sign', 'hash#',
    'per%cent',
    'per%20cent', 'co:lon', '$HOME', '$(reboot)', '`reboot`', 'a;b|c&d',
    '*?[a-z]', '{"source-name": "x"}', 'null', '.hidden', '...',
    'Größe-雪-\U0001f4f7', 'e\u0301', '\u202ereversed', 'n' * 255,
    '雪' * 85)

#: what is no reference, or names nothing
JUNK = (
    None, {}, [], '', 5, True, ['a'], {'source-name': None},
    {'source-name': 5}, {'source-name': {'source-name': 'a'}},
    {'source-name': ''}, {'source-id': ''}, {'no-such-key': 'a'},
    {'source-name': 'nul\0'}, {'source-name': '\ud800'}, '.', '..', '/',
    '../..', '../../etc/passwd', '/etc/passwd', 'n' * 256, 'n' * 5000,
    {'source-id': '/'}, {'source-id': '../..'}, {'source-id': 'nope'},
    {'source-id': '%2E%2E/%2E%2E'}, {'source-id': '%00/%00'},
    {'source-id': 'nope/nope/nope'})

REFUSED = (exception.InvalidInput, exception.ManageExistingInvalidReference)

#: that the storage does not answer, which may pass
AWAY = (exception.ServiceUnavailable, exception.BackendTimeout)


class Row(dict[str, Any]):
    """A mapping that answers to attributes as well, as Cinder's objects."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def volume_row(size: int = 1) -> Row:
    """A volume; the backend does not have it yet.

    :param size: GiB
    """
    volume_id = str(uuid.uuid4())
    return Row(id=volume_id, name=f'volume-{volume_id}', size=size,
               host='host@backend#backend', provider_id=None,
               provider_location=None)


def snapshot_row(volume: Row) -> Row:
    """The row of a snapshot that is to be adopted."""
    snapshot_id = str(uuid.uuid4())
    return Row(id=snapshot_id, name=f'snapshot-{snapshot_id}', volume=volume,
               volume_id=volume.id, volume_name=volume.name,
               volume_size=volume.size, provider_id=None,
               provider_location=None)


def load_driver(backend: str, driver: str,
                **options: Any) -> base.SnapshotDriver:
    """A driver as a configuration file would have it, not set up.

    :param backend: the backend's section
    :param driver: its ``volume_driver``
    :param options: what else the section says
    """
    conf = configuration.new()
    loader.register_options(conf, backend)
    for name, value in {'volume_driver': driver, **options}.items():
        conf.set_override(name, value, backend)
    conf([], default_config_files=[])
    return loader.load(conf, backend)


class Crash(BaseException):
    """The process is gone; nothing that catches exceptions sees this."""


class Refusals:
    """For a test case whose driver is ``driver``."""

    def assertNotAdoptable(self, volume: Row, ref: Any, reason: str) -> None:
        """A reference of a volume's is refused, for just this reason."""
        row = snapshot_row(volume)
        for method in (self.driver.manage_existing_snapshot_get_size,
                       self.driver.manage_existing_snapshot):
            error = self.assertRaises(
                exception.ManageExistingInvalidReference, method, row, ref)
            self.assertEqual(reason, error.reason)
            self.assertTrue(error.msg.endswith(f': {reason}'), error.msg)


class DriverConformance(abc.ABC):
    """The tests; a mixin for a test case."""

    #: names that this backend's snapshots can have
    weird_names: Iterable[str] = WEIRD_NAMES

    #: whether snapshots of several volumes can have one name
    names_repeat = True

    #: what an adoption calls one after the other, ``module.function``; each
    #: is made to crash before and after it has done its work
    steps: Iterable[str] = ()

    #: snapshots in the tests that need many
    many = 30

    #: seconds after which a driver must have given up a storage that hangs
    patience = 60

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # What does not go for a backend is no test of it, not a skipped one.
        if not cls.names_repeat:
            cls.test_an_id_is_no_other_volumes_snapshot_of_that_name = None
        if cls.hang is DriverConformance.hang:
            cls.test_a_storage_that_hangs_is_given_up = None

    @abc.abstractmethod
    def new_driver(self) -> base.SnapshotDriver:
        """The driver, set up, on the test's storage.

        It is called again for a process that is started again.
        """

    @abc.abstractmethod
    def make_volume(self, volume: str, size: int) -> None:
        """Make a volume on the storage.

        :param size: GiB
        """

    @abc.abstractmethod
    def resize_volume(self, volume: str, size: int) -> None:
        """Make a volume larger."""

    @abc.abstractmethod
    def make_snapshot(self, volume: str, name: str) -> None:
        """Take a snapshot, as somebody would past the service."""

    @abc.abstractmethod
    def remove_snapshot(self, volume: str, name: str) -> None:
        """Delete a snapshot, as somebody would past the service."""

    @abc.abstractmethod
    def names(self, volume: str) -> set[str]:
        """The names of the snapshots that a volume has."""

    @abc.abstractmethod
    def fingerprint(self, volume: str, name: str | None = None) -> Any:
        """What makes this snapshot, or the volume itself, the same as before.

        Its data, or a hash of it, and what else a driver could spoil.
        """

    def hang(self) -> contextlib.AbstractContextManager[Any] | None:
        """A context in which the storage does not answer, or is slow to.

        :returns: None, the default: it cannot be made to
        """
        return None

    def setUp(self) -> None:
        super().setUp()
        self.driver = self.new_driver()

    def restart(self) -> None:
        self.driver = self.new_driver()

    def volume(self, *names: str, size: int = 1) -> Row:
        """A volume that the backend has, with snapshots of these names."""
        row = volume_row(size)
        self.make_volume(row.name, size)
        for name in names:
            self.make_snapshot(row.name, name)
        return row

    def of(self, number: int, *names: str) -> list[str]:
        """Names for volume 0, 1, ...: the same ones, where they may repeat."""
        return [name if self.names_repeat or not number
                else f'{name}-{number}' for name in names]

    def scan(self) -> list[base.BackendSnapshot]:
        return list(self.driver.scan([]))

    def listed(self, volume: Row, name: str) -> base.BackendSnapshot:
        """The one entry of a snapshot in the list."""
        found = [
            entry for entry in self.scan()
            if entry.source_reference == {'source-name': volume.name}
            and self.driver.managed_name(entry.reference) == name]
        self.assertEqual(1, len(found), found)
        return found[0]

    def state(self, *volumes: Row) -> dict[tuple[str, str | None], Any]:
        """The fingerprints of volumes and their snapshots."""
        return {(volume.name, name): self.fingerprint(volume.name, name)
                for volume in volumes
                for name in (None, *self.names(volume.name))}

    def adopt(self, volume: Row, ref: Any) -> Row:
        """Adopt as a worker does, and check that the backend did just that.

        :returns: the snapshot's row
        """
        row = snapshot_row(volume)
        before = self.state(volume)
        name = self.driver.managed_name(reference.parse(ref))
        self.assertFalse(self.driver.is_adopted(row))
        self.driver.manage_existing_snapshot_get_size(row, ref)
        self.driver.manage_existing_snapshot(row, ref)
        self.assertTrue(self.driver.is_adopted(row))
        before[volume.name, row.name] = before.pop((volume.name, name))
        self.assertEqual(before, self.state(volume))
        return row

    def assertRefused(self, errors: Any, function: Callable[..., Any],
                      *args: Any) -> None:
        """It raises one of the errors, with a message that one can show."""
        error = self.assertRaises(errors, function, *args)
        self.assertTrue(error.msg)
        self.assertNotIn('\n', error.msg)
        self.assertNotIn('Traceback', error.msg)

    def test_nothing_is_listed_where_there_is_nothing(self) -> None:
        self.assertEqual([], self.scan())
        self.volume()
        self.assertEqual([], self.scan())

    def test_each_snapshot_is_listed_once(self) -> None:
        names = [f'snap-{number}' for number in range(10)]
        volumes = [self.volume(*self.of(number, *names), size=number + 1)
                   for number in range(3)]
        listed = [(entry.source_reference['source-name'],
                   entry.reference['source-name'], entry.size,
                   entry.safe_to_manage) for entry in self.scan()]
        self.assertCountEqual(
            [(volume.name, name, volume.size, True)
             for number, volume in enumerate(volumes)
             for name in self.of(number, *names)], listed)

    def test_references_are_unique_and_survive_the_wire(self) -> None:
        for number in range(3):
            self.volume(*self.of(number, 'a', 'b', 'c'))
        references = [entry.reference for entry in self.scan()]
        self.assertEqual(9, len(set(map(reference.key, references))))
        for ref in references:
            self.assertEqual(ref, reference.parse(ref))
            self.assertEqual(ref, json.loads(json.dumps(ref)))

    def test_the_driver_knows_what_its_references_name(self) -> None:
        volume = self.volume('a', 'b')
        for name in ('a', 'b'):
            ref = self.listed(volume, name).reference
            self.assertEqual(name, self.driver.managed_name(ref))
        row = self.adopt(volume, 'a')
        ref = self.listed(volume, row.name).reference
        self.assertEqual(row.name, self.driver.managed_name(ref))

    def test_entries_are_what_the_interface_says(self) -> None:
        for number in range(2):
            self.volume(*self.of(number, 'a', 'b'), size=number + 1)
        entries = self.scan()
        for entry in entries:
            self.assertIs(int, type(entry.size))
            self.assertGreaterEqual(entry.size, 1)
            self.assertIs(bool, type(entry.safe_to_manage))
            self.assertEqual(entry.safe_to_manage,
                             entry.reason_not_safe is None)
            # A driver of ours is not told of rows.
            self.assertIsNone(entry.cinder_id)
            self.assertIsInstance(entry.pool, (str, type(None)))
            self.assertNotEqual('', entry.pool)
            for name, value in (entry.extra_info or {}).items():
                self.assertIs(str, type(name))
                self.assertIn(type(value), (str, bool), name)
            described = base.describe(entry, None)
            self.assertEqual(described, json.loads(json.dumps(described)))

        def pools(entries: Iterable[base.BackendSnapshot]) -> dict[str, Any]:
            return {reference.key(entry.reference): entry.pool
                    for entry in entries}

        self.restart()
        self.assertEqual(pools(entries), pools(self.scan()))

    def test_each_listed_reference_is_accepted(self) -> None:
        volumes = {volume.name: volume for volume in (
            self.volume(*self.of(number, 'a', 'b')) for number in range(3))}
        adopted: dict[str, set[str]] = {name: set() for name in volumes}
        for entry in self.scan():
            name = entry.source_reference['source-name']
            row = self.adopt(volumes[name], entry.reference)
            adopted[name].add(row.name)
        self.assertEqual(adopted, {name: self.names(name)
                                   for name in volumes})
        self.assertEqual({2}, {len(rows) for rows in adopted.values()})

    def test_each_key_of_a_reference_is_enough(self) -> None:
        volume = self.volume('a', 'b', 'c', 'd')
        self.volume(*self.of(1, 'a', 'b', 'c', 'd'))
        self.adopt(volume, {'source-name': 'a'})
        self.adopt(volume, 'b')
        for name, key in (('c', 'source-name'), ('d', 'source-id')):
            ref = self.listed(volume, name).reference
            if key in ref:
                self.adopt(volume, {key: ref[key]})
                self.assertNotIn(name, self.names(volume.name))

    def test_adopting_leaves_other_volumes_alone(self) -> None:
        volume = self.volume('a', 'b')
        others = [self.volume(*self.of(number, 'a', 'b'))
                  for number in (1, 2, 3)]
        before = self.state(*others)
        self.adopt(volume, self.listed(volume, 'a').reference)
        self.assertEqual(before, self.state(*others))

    def test_an_adopted_snapshot_is_listed_by_its_new_name(self) -> None:
        volume = self.volume('a', size=2)
        row = self.adopt(volume, 'a')
        (entry,) = self.scan()
        self.assertEqual(row.name, self.driver.managed_name(entry.reference))
        self.assertEqual({'source-name': volume.name},
                         entry.source_reference)
        self.assertEqual(2, entry.size)

    def test_what_is_adopted_cannot_be_adopted_again(self) -> None:
        volume = self.volume('a')
        ref = self.listed(volume, 'a').reference
        self.adopt(volume, ref)
        before = self.state(volume)
        row = snapshot_row(volume)
        self.assertRefused(
            exception.ManageExistingInvalidReference,
            self.driver.manage_existing_snapshot_get_size, row, ref)
        self.assertRefused(
            exception.ManageExistingInvalidReference,
            self.driver.manage_existing_snapshot, row, ref)
        self.assertEqual(before, self.state(volume))

    def test_nothing_is_overwritten(self) -> None:
        volume = self.volume('a')
        row = snapshot_row(volume)
        self.make_snapshot(volume.name, row.name)
        before = self.state(volume)
        self.assertRefused(
            exception.ManageExistingAlreadyManaged,
            self.driver.manage_existing_snapshot, row,
            self.listed(volume, 'a').reference)
        self.assertEqual(before, self.state(volume))

    def test_the_parent_must_be_the_volume(self) -> None:
        volume = self.volume('mine')
        other = self.volume('theirs')
        before = self.state(volume, other)
        row = snapshot_row(volume)
        listed = self.listed(other, 'theirs').reference
        for ref in (listed, 'theirs', *(
                {key: value} for key, value in listed.items())):
            for method in (self.driver.manage_existing_snapshot_get_size,
                           self.driver.manage_existing_snapshot):
                self.assertRefused(exception.ManageExistingInvalidReference,
                                   method, row, ref)
        self.assertEqual(before, self.state(volume, other))

    def test_an_id_is_no_other_volumes_snapshot_of_that_name(self) -> None:
        volume, other = self.volume('a'), self.volume('a')
        before = self.state(volume, other)
        row = snapshot_row(volume)
        ref = self.listed(other, 'a').reference
        for method in (self.driver.manage_existing_snapshot_get_size,
                       self.driver.manage_existing_snapshot):
            self.assertRefused(exception.ManageExistingInvalidReference,
                               method, row, ref)
        self.assertEqual(before, self.state(volume, other))

    def test_what_is_missing_is_refused(self) -> None:
        volume = self.volume('a', 'gone')
        ref = self.listed(volume, 'gone').reference
        self.remove_snapshot(volume.name, 'gone')
        before = self.state(volume)
        row = snapshot_row(volume)
        for missing in (ref, 'gone', 'never there'):
            for method in (self.driver.manage_existing_snapshot_get_size,
                           self.driver.manage_existing_snapshot):
                self.assertRefused(exception.ManageExistingInvalidReference,
                                   method, row, missing)
        self.assertEqual(before, self.state(volume))
        self.assertFalse(self.driver.is_adopted(row))

    def test_a_volume_that_is_missing_has_no_snapshots(self) -> None:
        volume = self.volume('a')
        row = snapshot_row(volume_row())
        for ref in ('a', self.listed(volume, 'a').reference):
            self.assertRefused(exception.ManageExistingInvalidReference,
                               self.driver.manage_existing_snapshot, row, ref)
        self.assertFalse(self.driver.is_adopted(row))
        self.assertEqual({'a'}, self.names(volume.name))

    def test_junk_is_refused(self) -> None:
        volume = self.volume('a')
        before = self.state(volume)
        row = snapshot_row(volume)
        for junk in JUNK:
            for method in (self.driver.manage_existing_snapshot_get_size,
                           self.driver.manage_existing_snapshot):
                self.assertRefused(REFUSED, method, row, junk)
        self.assertEqual(before, self.state(volume))

    def test_weird_names_are_listed_and_adopted(self) -> None:
        names = tuple(self.weird_names)
        for by_listing in (True, False):
            volume = self.volume(*names)
            for name in names:
                self.adopt(volume, self.listed(volume, name).reference
                           if by_listing else {'source-name': name})
            self.assertEqual(len(names), len(self.names(volume.name)))
            self.assertFalse(set(names) & self.names(volume.name))

    def test_the_name_of_another_row_may_be_adopted(self) -> None:
        # Whether that row still lives is for the worker to find out.
        volume = self.volume()
        other = snapshot_row(volume)
        self.make_snapshot(volume.name, other.name)
        ref = self.listed(volume, other.name).reference
        self.assertEqual(other.name, self.driver.managed_name(ref))
        row = self.adopt(volume, ref)
        self.assertEqual({row.name}, self.names(volume.name))

    def test_adopting_under_its_own_name_changes_nothing(self) -> None:
        volume = self.volume()
        row = snapshot_row(volume)
        self.make_snapshot(volume.name, row.name)
        before = self.state(volume)
        self.driver.manage_existing_snapshot(
            row, self.listed(volume, row.name).reference)
        self.assertEqual(before, self.state(volume))

    def test_the_size_is_the_snapshots_own(self) -> None:
        volume = self.volume('small', size=1)
        self.resize_volume(volume.name, 3)
        self.make_snapshot(volume.name, 'large')
        volume['size'] = 3
        row = snapshot_row(volume)
        for name, size in (('small', 1), ('large', 3)):
            entry = self.listed(volume, name)
            self.assertEqual(size, entry.size)
            self.assertEqual(
                size, self.driver.manage_existing_snapshot_get_size(
                    row, entry.reference))
        adopted = self.adopt(volume, 'small')
        self.assertEqual(1, self.listed(volume, adopted.name).size)

    def test_unmanaged_and_adopted_again(self) -> None:
        volume = self.volume('a')
        row = self.adopt(volume, 'a')
        before = self.state(volume)
        self.driver.unmanage_snapshot(row)
        self.assertEqual(before, self.state(volume))
        again = self.adopt(volume, self.listed(volume, row.name).reference)
        self.assertEqual({again.name}, self.names(volume.name))
        self.assertFalse(self.driver.is_adopted(row))

    def test_a_restart_finds_what_was_adopted(self) -> None:
        volume = self.volume('a', 'b')
        row = self.adopt(volume, 'a')
        self.restart()
        self.assertTrue(self.driver.is_adopted(row))
        self.assertFalse(self.driver.is_adopted(snapshot_row(volume)))

    def test_a_crash_at_any_step_can_be_made_good(self) -> None:
        for number, (step, before) in enumerate(itertools.product(
                self.steps, (True, False))):
            name, other = self.of(number, 'a', 'other')
            volume = self.volume(name, other)
            ref = self.listed(volume, name).reference
            expected = self.state(volume)
            row = snapshot_row(volume)
            with mock.patch(step, _crashing(step, before)):
                self.assertRaises(
                    Crash, self.driver.manage_existing_snapshot, row, ref)
            self.restart()
            if not self.driver.is_adopted(row):
                self.driver.manage_existing_snapshot(row, ref)
            self.assertTrue(self.driver.is_adopted(row))
            expected[volume.name, row.name] = expected.pop(
                (volume.name, name))
            self.assertEqual(expected, self.state(volume), step)
            self.assertCountEqual(
                [row.name, other],
                [self.driver.managed_name(entry.reference)
                 for entry in self.scan()
                 if entry.source_reference['source-name'] == volume.name])

    def test_a_storage_that_hangs_is_given_up(self) -> None:
        hanging = self.hang()
        volume = self.volume('a', 'other')
        ref = self.listed(volume, 'a').reference
        row = snapshot_row(volume)
        before = self.state(volume)
        after = dict(before)
        after[volume.name, row.name] = after.pop((volume.name, 'a'))
        with hanging:
            for function, *args in (
                    (self.scan,),
                    (self.driver.manage_existing_snapshot_get_size, row, ref),
                    (self.driver.manage_existing_snapshot, row, ref)):
                started = time.monotonic()
                self.assertRefused(AWAY, function, *args)
                self.assertLess(time.monotonic() - started, self.patience)
        # What was asked for may have been done late.
        if self.driver.is_adopted(row):
            self.assertEqual(after, self.state(volume))
        else:
            self.assertEqual(before, self.state(volume))
            self.driver.manage_existing_snapshot(row, ref)
        self.assertTrue(self.driver.is_adopted(row))
        self.assertEqual(after, self.state(volume))
        self.assertEqual(2, len(self.scan()))

    def test_ten_at_once(self) -> None:
        names = [f'snap-{number}' for number in range(10)]
        volume = self.volume(*names)
        rows = {name: snapshot_row(volume) for name in names}
        before = self.state(volume)
        errors = _at_once(
            functools.partial(
                self.driver.manage_existing_snapshot, rows[name],
                {'source-name': name})
            for name in names)
        self.assertEqual([None] * 10, errors)
        for name in names:
            before[volume.name, rows[name].name] = before.pop(
                (volume.name, name))
        self.assertEqual(before, self.state(volume))

    def test_ten_at_once_for_the_same(self) -> None:
        volume = self.volume('a', 'other')
        ref = self.listed(volume, 'a').reference
        rows = [snapshot_row(volume) for _number in range(10)]
        errors = _at_once(
            functools.partial(self.driver.manage_existing_snapshot, row, ref)
            for row in rows)
        self.assertEqual(1, errors.count(None), errors)
        for error in errors:
            if error is not None:
                self.assertIsInstance(
                    error, exception.ManageExistingInvalidReference)
        (winner,) = [row for row in rows if self.driver.is_adopted(row)]
        self.assertIsNone(errors[rows.index(winner)])
        self.assertEqual({winner.name, 'other'}, self.names(volume.name))

    def test_listing_while_adopting_shows_each_once(self) -> None:
        names = [f'snap-{number}' for number in range(self.many)]
        volume = self.volume(*names)
        rows = {name: snapshot_row(volume) for name in names}
        new_names = {row.name: name for name, row in rows.items()}
        with futures.ThreadPoolExecutor(1) as executor:
            adopting = executor.submit(lambda: [
                self.driver.manage_existing_snapshot(row, name)
                for name, row in rows.items()])
            finished = False
            while not finished:
                finished = adopting.done()
                listed = [self.driver.managed_name(entry.reference) or ''
                          for entry in self.scan()]
                self.assertCountEqual(
                    names, [new_names.get(name, name) for name in listed])
        self.assertEqual([None] * self.many, adopting.result())

    def test_a_scan_goes_on_without_what_disappears(self) -> None:
        volumes = [self.volume(*self.of(number, 'a', 'b'))
                   for number in range(4)]
        scan = iter(self.driver.scan([]))
        first = next(scan)
        for number, volume in enumerate(volumes):
            if first.source_reference['source-name'] != volume.name:
                self.remove_snapshot(volume.name, *self.of(number, 'b'))
        listed = {(entry.source_reference['source-name'],
                   entry.reference['source-name']) for entry in scan}
        listed.add((first.source_reference['source-name'],
                    first.reference['source-name']))
        self.assertLessEqual(
            {(volume.name, *self.of(number, 'a'))
             for number, volume in enumerate(volumes)}, listed)

    def test_a_scan_can_be_given_up(self) -> None:
        for number in range(2):
            self.volume(*self.of(number, 'a', 'b'))
        for _number in range(3):
            scan = iter(self.driver.scan([]))
            next(scan)
            del scan
        self.assertEqual(4, len(self.scan()))

    def test_pages_hold_everything_once(self) -> None:
        for number, size in enumerate((2, 1, 3)):
            self.volume(*self.of(number, 'a', 'b', 'c'), size=size)
        for keys, dirs in ((['reference'], ['asc']),
                           (['reference'], ['desc']), (['size'], ['asc']),
                           (['size', 'reference'], ['desc', 'asc'])):
            whole = self.driver.get_manageable_snapshots(
                [], None, 100, 0, keys, dirs)
            walk: list[dict[str, Any]] = []
            marker = None
            while True:
                page = self.driver.get_manageable_snapshots(
                    [], marker, 4, 0, keys, dirs)
                if not page:
                    break
                walk += page
                marker = page[-1]['reference']
            self.assertEqual(whole, walk)
            self.assertEqual(9, len(whole))
        self.assertEqual([3, 3, 3, 2, 2, 2, 1, 1, 1],
                         [entry['size'] for entry in whole])
        self.assertEqual(whole[2:4], self.driver.get_manageable_snapshots(
            [], None, 2, 2, ['size', 'reference'], ['desc', 'asc']))

    def test_a_bad_marker_is_refused(self) -> None:
        self.volume('a')
        for marker in ({'source-name': 'nope'}, 'nope', '[]', '{}', 'null',
                       {'source-id': 'nope'}, ['a'], '["' + 'n' * 5000):
            self.assertRefused(
                exception.InvalidInput, self.driver.get_manageable_snapshots,
                [], marker, 10, 0, ['reference'], ['asc'])

    def test_cinders_listing_shows_what_its_rows_manage(self) -> None:
        volume = self.volume('a', 'b')
        row = self.adopt(volume, 'a')
        entries = self.driver.get_manageable_snapshots(
            [row], None, 10, 0, ['reference'], ['asc'])
        self.assertEqual(
            {'b': (True, None, None),
             row.name: (False, 'already managed', row.id)},
            {self.driver.managed_name(entry['reference']): (
                entry['safe_to_manage'], entry['reason_not_safe'],
                entry['cinder_id']) for entry in entries})


def _crashing(step: str, before: bool) -> Callable[..., Any]:
    work = pkgutil.resolve_name(step)

    def crash(*args: Any, **kwargs: Any) -> None:
        if not before:
            work(*args, **kwargs)
        raise Crash(step)

    return crash


def _at_once(functions: Iterable[Callable[[], Any]]
             ) -> list[BaseException | None]:
    """Call functions in a thread each, all at the same moment.

    :returns: their errors, None where there was none
    """
    functions = list(functions)
    barrier = threading.Barrier(len(functions), timeout=30)

    def call(function: Callable[[], Any]) -> None:
        barrier.wait()
        function()

    with futures.ThreadPoolExecutor(len(functions)) as executor:
        calls = [executor.submit(call, function) for function in functions]
        return [made.exception(timeout=60) for made in calls]
