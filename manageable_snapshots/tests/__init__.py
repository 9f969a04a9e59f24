# SPDX-License-Identifier: Apache-2.0

import warnings

# As in the commands: libraries load eventlet where it is installed.
warnings.filterwarnings('ignore', r'\s*Eventlet is deprecated')
