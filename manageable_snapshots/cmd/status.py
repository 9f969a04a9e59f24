# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""``manageable-snapshots-status``: whether this version can start."""

from collections.abc import Sequence

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from manageable_snapshots.cmd import common
from manageable_snapshots import conf as config
from manageable_snapshots.db import migration
from manageable_snapshots import exception

DESCRIPTION = (
    'Say whether this version of the package can run with the configuration '
    'and the database as they are: "upgrade check".')


class Checks(upgradecheck.UpgradeCommands):
    """What ``upgrade check`` looks at."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def configuration(self) -> upgradecheck.Result:
        """Every option has a value that it can have."""
        try:
            common.check(self._conf)
        except exception.ConfigurationError as error:
            return upgradecheck.Result(
                upgradecheck.Code.FAILURE, str(error))
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    def database(self) -> upgradecheck.Result:
        """The tables are those of this version."""
        try:
            have = migration.version(self._conf)
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

    _upgrade_checks = (
        ('Configuration', configuration),
        ('Database', database),
    )


@common.command
def main(argv: Sequence[str]) -> int:
    """Check.

    :param argv: the arguments, without the program's name
    :returns: 0: ready; 1: something to look at; 2: it cannot run so; 255:
        the check itself failed
    """
    conf = config.new()
    upgradecheck.register_cli_options(conf, Checks(conf))
    config.load(argv, prog=common.program(), description=DESCRIPTION,
                conf=conf)
    # Its main() would do this, but leaves --help without a description.
    upgradecheck.CONF = conf
    return int(upgradecheck.run(conf))
