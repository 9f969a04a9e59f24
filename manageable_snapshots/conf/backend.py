# SPDX-License-Identifier: Apache-2.0

"""The section of one backend, named in ``enabled_backends``."""

from oslo_config import cfg
from oslo_config import types

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'volume_driver', default='directory',
        help='The driver: its name among the entry points '
             'manageable_snapshots.drivers, or its class with the module.'),
    cfg.StrOpt(
        'volume_backend_name',
        help='Name by which the backend is shown. Unset: the name of its '
             'section.'),
    cfg.StrOpt(
        'backend_host',
        help='Used in place of host for this backend.'),
    cfg.BoolOpt(
        'manageable_snapshots_native', default=True,
        help='Inside Cinder: whether the rbd or the lvm driver of this '
             'project lists and adopts the snapshots, where the backend has '
             'Cinder\'s RBDDriver or LVMVolumeDriver. Off, those are asked.'),
]

DIRECTORY_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'directory_path',
        help='Folder that holds the volumes and snapshots of the directory '
             'driver. Unset: $state_path/ and the name of the section.'),
]

RBD_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'rbd_pool', default='rbd',
        help='Pool of the rbd driver.'),
    cfg.StrOpt(
        'rbd_namespace', default='',
        help='Namespace in the pool. Empty: the pool itself, which is what '
             'Cinder uses.'),
    cfg.StrOpt(
        'rbd_user',
        help='Name by which the rbd driver logs in to Ceph, without '
             '"client.". Unset: admin.'),
    cfg.StrOpt(
        'rbd_ceph_conf', default='',
        help='Configuration file of Ceph. Empty: where Ceph looks itself.'),
    cfg.StrOpt(
        'rbd_cluster_name', default='ceph',
        help='Name of the Ceph cluster, where its configuration file is found '
             'by it.'),
    cfg.IntOpt(
        'rados_connect_timeout', default=-1,
        help='Timeout of the rbd driver\'s connection to Ceph, in seconds. '
             'With a value below 1, rbd_op_timeout applies.'),
    cfg.IntOpt(
        'rbd_op_timeout', default=30, min=1,
        help='Seconds that the rbd driver waits for Ceph to answer one '
             'request. After that, an adoption is put off, and a list has '
             'an entry for the image that says so. If Ceph as a whole does '
             'not answer, the list fails.'),
    cfg.IntOpt(
        'rbd_list_threads', default=8, min=1, max=64,
        help='Images that the rbd driver reads at the same time for a list.'),
    cfg.MultiOpt(
        'replication_device', item_type=types.Dict(), secret=True,
        help='Inside Cinder: a Ceph cluster that the backend can fail over '
             'to, as Cinder\'s RBD driver reads it (backend_id, conf, user). '
             'The audit looks here for the cluster of a backend that has '
             'failed over. A service on its own does not fail over.'),
]

LVM_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        'volume_group', default='cinder-volumes',
        help='Volume group of the lvm driver.'),
    cfg.StrOpt(
        'lvm_type', default='auto', choices=['default', 'thin', 'auto'],
        help='What the lvm driver makes when the service runs on its own: '
             'thick volumes (default), or thin ones in the pool of the name '
             'of the volume group and -pool. auto: thin if there is such a '
             'pool. Both kinds are listed and adopted.'),
    cfg.StrOpt(
        'lvm_conf_file', default='/etc/cinder/lvm.conf',
        help='Configuration file of LVM, by name lvm.conf, if it is there. '
             'None: do not look.'),
    cfg.BoolOpt(
        'lvm_suppress_fd_warnings', default=False,
        help='Keep LVM from warning of file descriptors that it did not '
             'open.'),
    cfg.StrOpt(
        'lvm_root_helper', default='sudo',
        help='What the lvm driver puts before LVM\'s commands if the service '
             'does not run as root. Inside Cinder: not used, Cinder\'s own '
             'helper is.'),
    cfg.IntOpt(
        'lvm_command_timeout', default=60, min=1,
        help='Seconds that the lvm driver waits for one of LVM\'s '
             'commands.'),
]


def list_opts() -> list[tuple[str | None, list[cfg.Opt]]]:
    return [('backend', OPTIONS + DIRECTORY_OPTIONS + RBD_OPTIONS
             + LVM_OPTIONS)]
