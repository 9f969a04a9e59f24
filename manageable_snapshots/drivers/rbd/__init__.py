# SPDX-License-Identifier: Apache-2.0

"""Ceph RBD: the driver, the images of a pool and their scan."""

from manageable_snapshots.drivers.rbd.driver import RBDDriver

__all__ = ('RBDDriver',)
