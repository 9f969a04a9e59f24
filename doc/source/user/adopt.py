# SPDX-License-Identifier: Apache-2.0

import openstack

cloud = openstack.connect(block_storage_default_microversion='3.8')
volume = cloud.block_storage.find_volume('pictures', ignore_missing=False)
for entry in cloud.block_storage.manageable_snapshots(
        details=True, host='localhost@directory'):
    # Names repeat from volume to volume.
    if (entry.reference['source-name'] == 'before-upgrade'
            and entry.source_reference['source-name'].endswith(volume.id)
            and entry.safe_to_manage):
        snapshot = cloud.block_storage.manage_snapshot(
            volume_id=volume.id, ref=entry.reference, name='kept')
        cloud.block_storage.wait_for_status(
            snapshot, status='available', failures=['error'])
        print(f'{snapshot.id} is adopted')
