# SPDX-License-Identifier: Apache-2.0

"""``manageable-snapshots-manage audit``: what it prints, and how it ends."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import json
import shlex
import sys
from typing import Any

from oslo_config import cfg
from oslo_log import log

from manageable_snapshots.audit import backends
from manageable_snapshots.audit import findings
from manageable_snapshots.audit import quotas
from manageable_snapshots.audit import rows
from manageable_snapshots.cmd import common
from manageable_snapshots.conf import host
from manageable_snapshots.db import engine
from manageable_snapshots.db import schema
from manageable_snapshots import exception
from manageable_snapshots import reference

LOG = log.getLogger(__name__)

NAME = 'audit'

HELP = 'Compare database, quota and backends, and mend what is safe to mend.'

DESCRIPTION = (
    'Print each breach of what must always hold, with the command that '
    'would mend it. Services may be running. The exit status is 0 if there '
    'is no breach (or none is left, with --repair), 1 if there is one, and 2 '
    'if something could not be looked at.')

CLEAN, BREACHES, INCOMPLETE = 0, 1, 2

OLDER_THAN = 3600

#: seconds: a count of a large project takes longer than a request would wait
_DATABASE_SECONDS = 120


@dataclasses.dataclass
class _Result:
    """What became of an audit.

    :ivar left: how many breaches are there still
    :ivar mended: how many are not any more
    """

    left: int = 0
    mended: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)
    gaps: list[str] = dataclasses.field(default_factory=list)

    @property
    def status(self) -> int:
        if self.gaps:
            return INCOMPLETE
        return BREACHES if self.left else CLEAN


def add_arguments(parser: Any) -> None:
    """Register what the command takes."""
    parser.add_argument(
        '--repair', action='store_true',
        help='mend what is safe to mend; the rest is left')
    parser.add_argument(
        '--format', choices=['text', 'json'], default='text',
        help='for people (the default) or for programs')
    parser.add_argument(
        '--backend', action='append', default=[], metavar='HOST@BACKEND',
        help='look at this backend only; may be given more than once')
    parser.add_argument(
        '--older-than', type=_seconds, default=OLDER_THAN, metavar='SECONDS',
        help='for how long a snapshot may be "creating"; default: '
             '%(default)s')


def audit(conf: cfg.ConfigOpts) -> int:
    """Audit, as the command line says.

    :returns: exit status
    """
    printer = (_print_json if conf.category.format == 'json'
               else _print_text)
    try:
        database = engine.Database(conf, timeout=_DATABASE_SECONDS)
        try:
            schema.check(database, in_cinder=host.is_hosts(conf))
            found = backends.configured(
                conf, database, conf.category.backend)
            result = _Result()
            printer(_entries(_look(conf, database, found), result,
                             conf.category.repair), result)
        finally:
            database.dispose()
    except exception.ManageableSnapshotsException as error:
        common.complain(error)
        return INCOMPLETE
    return result.status


def _look(conf: cfg.ConfigOpts, database: engine.Database,
          found: list[backends.Backend]) -> Iterator[findings.Finding]:
    command = _repair_command(conf)
    if not found:
        yield findings.Note('enabled_backends names no backend, so only the '
                            'quota was looked at.')
    try:
        for backend in found:
            yield from rows.check(rows.Scope(
                conf, database, backend, conf.category.older_than, command,
                _say))
        # Last, as what is mended above may change it.
        yield from quotas.check(conf, database, command, _say)
    except exception.ServiceUnavailable as error:
        yield findings.Gap(f'The audit ended early: {error.msg}')
    except Exception:
        LOG.exception('The audit ended early.')
        yield findings.Gap('The audit ended early; the log has the cause.')


def _entries(found: Iterable[findings.Finding], result: _Result,
             repair: bool) -> Iterator[dict[str, Any]]:
    """The breaches as they are printed; the rest goes into the result."""
    for finding in found:
        if isinstance(finding, findings.Note):
            result.notes.append(finding.text)
        elif isinstance(finding, findings.Gap):
            result.gaps.append(finding.text)
        else:
            outcome, is_left = (_mend(finding) if repair
                                else (None, True))
            if is_left:
                result.left += 1
            else:
                result.mended += 1
            yield {
                'kind': finding.kind, 'backend': finding.backend,
                'snapshot_id': finding.snapshot_id,
                'project_id': finding.project_id, 'text': finding.text,
                'command': finding.command,
                'repairable': finding.mend is not None, 'outcome': outcome}


def _mend(breach: findings.Breach) -> tuple[str, bool]:
    """What was done about a breach, and whether it is still there."""
    if breach.mend is None:
        return 'Not repaired: an operator has to decide.', True
    try:
        done = breach.mend()
    except (backends.Away, exception.ManageableSnapshotsException) as error:
        return f'Left: {reference.shown(str(error))}', True
    except Exception:
        LOG.exception('A breach (%s) could not be mended.', breach.kind)
        return 'Left: it could not be mended; the log has the cause.', True
    return done or 'Nothing was done: it has changed meanwhile.', False


def _print_text(entries: Iterable[dict[str, Any]], result: _Result) -> None:
    for entry in entries:
        subject = entry['snapshot_id'] or f'project {entry["project_id"]}'
        print(f'{entry["kind"]:<11} {entry["backend"] or "quota":<31} '
              f'{subject}')
        print(f'    {entry["text"]}')
        if entry['outcome']:
            print(f'    {entry["outcome"]}')
        if not (entry['outcome'] and entry['repairable']):
            print(f'    $ {entry["command"]}')
    for text in result.notes:
        print(f'Note: {text}')
    for text in result.gaps:
        print(f'Not looked at: {text}')
    print(f'Breaches: {result.left}'
          + (f' left, {result.mended} mended' if result.mended else ''))


def _print_json(entries: Iterable[dict[str, Any]], result: _Result) -> None:
    # Each as it is found: there may be many.
    print('{"breaches": [', end='')
    separator = '\n'
    for entry in entries:
        print(separator + json.dumps(entry), end='')
        separator = ',\n'
    print('],')
    print(f'"left": {result.left}, "mended": {result.mended},')
    print(f'"notes": {json.dumps(result.notes)},')
    print(f'"not_looked_at": {json.dumps(result.gaps)}}}')


def _repair_command(conf: cfg.ConfigOpts) -> str:
    words = ['manageable-snapshots-manage']
    for option in ('config_file', 'config_dir'):
        for path in conf[option] or ():
            words += [f'--{option.replace("_", "-")}', str(path)]
    words += ['audit', '--repair']
    if conf.category.older_than != OLDER_THAN:
        words += ['--older-than', str(conf.category.older_than)]
    return shlex.join(words)


def _seconds(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _say(text: str) -> None:
    print(text, file=sys.stderr)
