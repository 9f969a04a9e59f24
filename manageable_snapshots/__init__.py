# SPDX-License-Identifier: Apache-2.0

"""List and adopt the snapshots that a storage backend already holds."""
