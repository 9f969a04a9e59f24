# SPDX-License-Identifier: Apache-2.0

"""What ``upgrade check`` looks at in the Cinder that it is loaded into.

The files and the database tell it; Cinder itself is not loaded.
"""

from collections.abc import Iterator
import configparser
import contextlib
from importlib import metadata
import os

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from manageable_snapshots.cmd import checks
from manageable_snapshots.conf import host
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import schema
from manageable_snapshots.db import snapshots
from manageable_snapshots import exception
from manageable_snapshots import releases

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt('volume_manager',
               default='cinder.volume.manager.VolumeManager'),
]

MANAGER = 'manageable_snapshots.volume.cinder.VolumeManager'
FILTER = 'manageable_snapshots.api:filter_factory'

_APPLICATION = 'cinder.api.v3.router:APIRouter.factory'

_LIMITS = '_nolimit'


class Checks(upgradecheck.UpgradeCommands):
    """The two lines, and what the code behind them meets."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def configuration(self) -> upgradecheck.Result:
        """Every option that counts has a value that it can have.

        The options of this project are known.
        """
        return checks.configuration(
            self._conf, in_cinder=True, leave_out=host.UNUSED)

    def policy(self) -> upgradecheck.Result:
        """The policy files exist, and so do the extension's rules in them."""
        return checks.policy(self._conf, in_cinder=True)

    def api(self) -> upgradecheck.Result:
        """The filter is in the pipelines, just before ``apiv3``."""
        path = self._paste_config()
        if path is None:
            return _warning(
                f'There is no {self._conf.api_paste_config} here: a '
                'cinder-api is configured elsewhere, if at all.')
        try:
            lacking, misplaced = self._pipelines(path)
        except (OSError, UnicodeError, configparser.Error) as error:
            return _failure(f'{path}: {error}')
        if misplaced:
            return _failure(
                f'{path}: the filter must be just before the application: '
                f'{", ".join(misplaced)}.')
        if lacking:
            return _warning(
                f'{path}: a filter with the factory {FILTER} is not in '
                f'{", ".join(lacking)}: cinder-api answers as without it.')
        return _success(path)

    def manager(self) -> upgradecheck.Result:
        """``volume_manager`` is this project's."""
        if self._conf.volume_manager != MANAGER:
            return _warning(
                f'volume_manager is {self._conf.volume_manager}, not '
                f'{MANAGER}: a cinder-volume that reads this configuration '
                'lists and adopts snapshots as without it.')
        return _success()

    def release(self) -> upgradecheck.Result:
        """The Cinder that is installed beside us is one that was tried."""
        try:
            version = metadata.version('cinder')
        except metadata.PackageNotFoundError:
            return _warning(
                'Cinder is not installed where this package is, and cannot '
                'load it from here.')
        if releases.find(int(version.partition('.')[0])) is None:
            known = ', '.join(str(each.number) for each in releases.KNOWN)
            return _warning(
                f'Cinder is {version}; this package is tested with the '
                f'releases {known}.')
        return _success(f'Cinder {version}')

    def database(self) -> upgradecheck.Result:
        """The database is Cinder's, and has what the models name."""
        try:
            revision = migration.version(
                self._conf, migration.CINDERS_VERSION_TABLE)
            with self._checked_database():
                pass
        except exception.ManageableSnapshotsException as error:
            return _failure(str(error))
        if revision is None:
            return _failure(
                'The database is not one that cinder-manage has made.')
        if revision not in {each.schema for each in releases.KNOWN}:
            return _warning(
                f'The database has revision {revision}, which no release of '
                'Cinder has that this package is tested with. The columns '
                'that are needed are there.')
        return _success(f'Revision {revision}')

    def adoptions(self) -> upgradecheck.Result:
        """No snapshot waits to be adopted."""
        try:
            with self._checked_database() as database, database.reader(
                    context.get_admin_context()) as session:
                count, oldest = snapshots.unfinished(session)
        except exception.ManageableSnapshotsException as error:
            return _failure(str(error))
        if count:
            return _warning(
                f'{count} unfinished, the oldest from {oldest} UTC. A '
                "cinder-volume with this project's volume manager finishes "
                'them.')
        return _success()

    def secrets(self) -> upgradecheck.Result:
        """Passwords are not for every user of the machine to read."""
        return checks.secrets(self._conf)

    _upgrade_checks = (
        ('Configuration', configuration),
        ('Policy', policy),
        ('Secrets', secrets),
        ('Filter in cinder-api', api),
        ('Manager in cinder-volume', manager),
        ('Release of Cinder', release),
        ('Database', database),
        ('Adoptions', adoptions),
    )

    @contextlib.contextmanager
    def _checked_database(self) -> Iterator[engine.Database]:
        """Yield the database after a check of its tables.

        :raises ConfigurationError: the tables cannot be used
        :raises ServiceUnavailable: it does not answer
        """
        database = engine.Database(self._conf)
        try:
            schema.check(database, in_cinder=True)
            yield database
        finally:
            database.dispose()

    def _paste_config(self) -> str | None:
        """Where Cinder finds ``api_paste_config``."""
        name = self._conf.api_paste_config
        if os.path.isabs(name):
            return name if os.path.exists(name) else None
        return self._conf.find_file(name)

    def _pipelines(self, path: str) -> tuple[list[str], list[str]]:
        """The pipelines without the filter, and those with it amiss.

        :raises configparser.Error: the file is none of PasteDeploy's
        """
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        with open(path, encoding='utf-8') as file:
            parser.read_file(file)
        filters = _named(parser, 'filter:', 'paste.filter_factory', FILTER)
        applications = _named(
            parser, 'app:', 'paste.app_factory', _APPLICATION) or {'apiv3'}
        lacking, misplaced = [], []
        for section in parser.sections():
            for name, value in parser.items(section):
                words = value.split()
                if not (words and words[-1] in applications
                        and self._is_in_use(name)):
                    continue
                if filters.isdisjoint(words):
                    lacking.append(f'"{name}" of [{section}]')
                elif len(words) < 2 or words[-2] not in filters:
                    misplaced.append(f'"{name}" of [{section}]')
        return lacking, misplaced

    def _is_in_use(self, pipeline: str) -> bool:
        try:
            strategy = self._conf.auth_strategy
        except ValueError:
            # One that only Cinder has: take all.
            return True
        return pipeline.removesuffix(_LIMITS) in (strategy, 'pipeline')


def _named(parser: configparser.RawConfigParser, kind: str, option: str,
           factory: str) -> set[str]:
    """The names of a paste file's parts that a factory makes."""
    return {section.removeprefix(kind).strip()
            for section in parser.sections()
            if section.startswith(kind)
            and parser.get(section, option, fallback='').strip() == factory}


def _success(details: str | None = None) -> upgradecheck.Result:
    return upgradecheck.Result(upgradecheck.Code.SUCCESS, details)


def _warning(details: str) -> upgradecheck.Result:
    return upgradecheck.Result(upgradecheck.Code.WARNING, details)


def _failure(details: str) -> upgradecheck.Result:
    return upgradecheck.Result(upgradecheck.Code.FAILURE, details)
