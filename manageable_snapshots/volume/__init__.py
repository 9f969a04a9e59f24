# SPDX-License-Identifier: Apache-2.0

"""The worker: adopts snapshots and lists what a backend holds."""
