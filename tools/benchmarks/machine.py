# SPDX-License-Identifier: Apache-2.0

"""What it was measured on, and with what."""

import datetime
from importlib import metadata
import os
import platform
import re
import subprocess


def describe() -> dict[str, str]:
    """Versions and the machine, without its name."""
    about = {
        'date': datetime.date.today().isoformat(),
        'machine': f'{os.cpu_count()} cores of {_processor()}, '
                   f'{_memory_gib():.0f} GiB of memory',
        'Python': platform.python_version(),
        'manageable-snapshots': metadata.version('manageable-snapshots'),
    }
    if 'CINDER_STACK_RELEASE' in os.environ:
        about['Cinder'] = os.environ['CINDER_STACK_RELEASE']
        about['Ceph'] = _said('ceph', '--version')
        about['MariaDB'] = _said(
            'dpkg-query', '-W', '-f', '${Version}', 'mariadb-server')
        about['RabbitMQ'] = _said(
            'dpkg-query', '-W', '-f', '${Version}', 'rabbitmq-server')
    return about


def _said(*command: str) -> str:
    try:
        text = subprocess.run(command, capture_output=True, text=True,
                              timeout=60).stdout
    except OSError:
        return 'unknown'
    match = re.search(r'\d+(\.\d+)+', text)
    return match.group() if match else 'unknown'


def _processor() -> str:
    with open('/proc/cpuinfo') as file:
        match = re.search(r'^model name\s*: (.*)$', file.read(), re.M)
    return match.group(1) if match else platform.machine()


def _memory_gib() -> float:
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2 ** 30
