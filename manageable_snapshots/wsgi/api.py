# SPDX-License-Identifier: Apache-2.0

"""The API for uWSGI, gunicorn, mod_wsgi and other WSGI servers.

They load ``manageable_snapshots.wsgi.api:application``. The arguments of the
program are theirs, so the configuration files are named by the environment:
``OS_MANAGEABLE_SNAPSHOTS_CONFIG_FILES`` and
``OS_MANAGEABLE_SNAPSHOTS_CONFIG_DIRS``, each a list with ``;`` between the
paths. Where neither is set, they are looked for in the usual places.
"""

from collections.abc import Mapping
import os
from typing import Any

from manageable_snapshots.cmd import common
from manageable_snapshots.standalone.api import deploy

# For the names of the configuration files; the program itself is the server's.
_PROGRAM = 'manageable-snapshots-api'


def load(environ: Mapping[str, str]) -> Any:
    """The WSGI application.

    What is wrong with the configuration is raised: servers give up then, and
    log it, where on a SystemExit gunicorn would try again for ever.

    :param environ: the environment of the process
    :raises oslo_config.cfg.Error: a configuration file cannot be read
    :raises ConfigurationError: an option is missing or wrong
    """
    arguments = []
    for option in ('file', 'dir'):
        variable = f'OS_MANAGEABLE_SNAPSHOTS_CONFIG_{option.upper()}S'
        for path in environ.get(variable, '').split(';'):
            if path.strip():
                arguments += [f'--config-{option}', path.strip()]
    return deploy.load_app(common.load(arguments, '', prog=_PROGRAM))


application = load(os.environ)
