# SPDX-License-Identifier: Apache-2.0

"""The commands, a module each, with ``main(argv=None)`` in it."""

import warnings

# Libraries load eventlet where it is installed, and it complains about being
# loaded. Nothing here uses it.
warnings.filterwarnings('ignore', r'\s*Eventlet is deprecated')
