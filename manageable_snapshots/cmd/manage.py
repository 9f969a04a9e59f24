# SPDX-License-Identifier: Apache-2.0

"""``manageable-snapshots-manage``: what is in the database, and its audit."""

from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from manageable_snapshots.cmd import audit
from manageable_snapshots.cmd import common
from manageable_snapshots import conf as config
from manageable_snapshots import context
from manageable_snapshots.db import engine
from manageable_snapshots.db import migration
from manageable_snapshots.db import services
from manageable_snapshots import exception

DESCRIPTION = (
    'Look after the database of a deployment that stands on its own. (In '
    'Cinder the database is Cinder\'s, and cinder-manage does this, but for '
    'the audit.)')


@common.command
def main(argv: Sequence[str]) -> int:
    """Do what the command line says.

    :param argv: the arguments, without the program's name
    :returns: exit status
    """
    conf = config.new()
    conf.register_cli_opt(cfg.SubCommandOpt(
        'category', title='commands', handler=_add_parsers,
        help='What to look after; each has a --help of its own.'))
    try:
        common.load(argv, DESCRIPTION, conf=conf, may_be_cinders=True)
    except (cfg.Error, exception.ManageableSnapshotsException) as error:
        if audit.NAME not in argv:
            raise
        # 1 would say that there is a breach.
        common.complain(error)
        return audit.INCOMPLETE
    return conf.category.function(conf)


def db_sync(conf: cfg.ConfigOpts) -> int:
    """Make the tables, or bring them to this version of the package."""
    migration.sync(conf)
    return db_version(conf)


def db_version(conf: cfg.ConfigOpts) -> int:
    """Print the version of the schema."""
    print(migration.version(conf) or 'none: run "db sync"')
    return 0


def service_list(conf: cfg.ConfigOpts) -> int:
    """Print the volume services, and whether they are up."""
    database = engine.Database(conf)
    with database.reader(context.get_admin_context()) as session:
        rows = [('Binary', 'Host', 'Zone', 'Status', 'State', 'Updated at')]
        for service in services.list_services(session):
            rows.append((
                service.binary, service.host, service.availability_zone,
                'disabled' if services.is_disabled(session, service)
                else 'enabled',
                'up' if services.is_up(service, conf.service_down_time)
                else 'down',
                str(service.updated_at or service.created_at)))
    database.dispose()
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print('  '.join(value.ljust(width) for value, width
                        in zip(row, widths, strict=True)).rstrip())
    return 0


_COMMANDS = {
    ('db', 'The tables.'): {'sync': db_sync, 'version': db_version},
    ('service', 'The volume services.'): {'list': service_list},
}


def _add_parsers(categories: Any) -> None:
    for (name, text), commands in _COMMANDS.items():
        category = categories.add_parser(name, help=text, description=text)
        parsers = category.add_subparsers(
            dest='action', required=True, title='commands')
        for action, function in commands.items():
            parser = parsers.add_parser(
                action, help=function.__doc__, description=function.__doc__)
            parser.set_defaults(function=function)
    parser = categories.add_parser(
        audit.NAME, help=audit.HELP, description=audit.DESCRIPTION)
    audit.add_arguments(parser)
    parser.set_defaults(function=audit.audit)
