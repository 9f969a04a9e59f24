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

"""What ``upgrade check`` looks at in Cinder as well as without it."""

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from manageable_snapshots.conf import secrecy


def secrets(conf: cfg.ConfigOpts) -> upgradecheck.Result:
    """Passwords are not for every user of the machine to read."""
    exposed = secrecy.exposed(conf)
    if exposed:
        return upgradecheck.Result(
            upgradecheck.Code.WARNING,
            'Every user of this machine may read these files, which have '
            f'passwords: {", ".join(exposed)}.')
    return upgradecheck.Result(upgradecheck.Code.SUCCESS)
