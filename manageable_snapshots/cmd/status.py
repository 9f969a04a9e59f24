# SPDX-License-Identifier: Apache-2.0

"""``manageable-snapshots-status``: whether this version can start."""

import argparse
from collections.abc import Sequence

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from manageable_snapshots.cmd import checks
from manageable_snapshots.cmd import common
from manageable_snapshots.cmd import status_in_cinder
from manageable_snapshots import conf as config
from manageable_snapshots.conf import host
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import schema
from manageable_snapshots import exception

DESCRIPTION = (
    'Say whether this version of the package can run with the configuration '
    'and the database as they are: "upgrade check". With the file '
    'cinder.conf it looks at the Cinder that it is loaded into.')


class Checks(upgradecheck.UpgradeCommands):
    """What ``upgrade check`` looks at where the project is on its own."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def configuration(self) -> upgradecheck.Result:
        """Every option has a value that it can have, and is known."""
        return checks.configuration(self._conf, in_cinder=False)

    def policy(self) -> upgradecheck.Result:
        """The policy files exist, and so do the rules in them."""
        return checks.policy(self._conf, in_cinder=False)

    def database(self) -> upgradecheck.Result:
        """The tables are those of this version, or of a usable Cinder."""
        try:
            have = migration.version(self._conf)
            if have is None and migration.version(
                    self._conf, migration.CINDERS_VERSION_TABLE):
                database = engine.Database(self._conf)
                schema.check(database, inserts=schema.WORKING)
                database.dispose()
                return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        except exception.ManageableSnapshotsException as error:
            return upgradecheck.Result(
                upgradecheck.Code.FAILURE, str(error))
        if have != migration.head():
            return upgradecheck.Result(
                upgradecheck.Code.FAILURE,
                f'The database has version {have}, this package needs '
                f'{migration.head()}: run manageable-snapshots-manage db '
                'sync.')
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    def secrets(self) -> upgradecheck.Result:
        """Passwords are not for every user of the machine to read."""
        return checks.secrets(self._conf)

    _upgrade_checks = (
        ('Configuration', configuration),
        ('Policy', policy),
        ('Secrets', secrets),
        ('Database', database),
    )


class Command(upgradecheck.UpgradeCommands):
    """Checks of the one kind or the other, by what was read."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def check(self) -> upgradecheck.Code:
        if host.is_hosts(self._conf):
            return status_in_cinder.Checks(self._conf).check()
        return Checks(self._conf).check()


@common.command
def main(argv: Sequence[str]) -> int:
    """Check.

    :param argv: the arguments, without the program's name
    :returns: 0: ready; 1: something to look at; 2: it cannot run so; 255:
        the check itself failed
    """
    conf = config.new()
    conf.register_opts(status_in_cinder.OPTIONS)
    upgradecheck.register_cli_options(conf, Command(conf))
    config.load(_files_first(argv), prog=common.program(),
                description=DESCRIPTION, conf=conf)
    # Its main() would do this, but leaves --help without a description.
    upgradecheck.CONF = conf
    return int(upgradecheck.run(conf))


def _files_first(argv: Sequence[str]) -> list[str]:
    """The arguments as oslo.config wants them; users want them anyhow."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options = ('--config-file', '--config-dir')
    for option in options:
        parser.add_argument(option, dest=option, action='append', default=[])
    found, rest = parser.parse_known_args(argv)
    return [*(f'{option}={path}' for option in options
              for path in getattr(found, option)), *rest]
