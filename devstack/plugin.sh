#!/bin/bash
# DevStack plugin of manageable-snapshots. It loads the project into DevStack's
# Cinder. README.rst in this folder says how to use it.

# Save trace setting
_XTRACE_MANAGEABLE_SNAPSHOTS=$(set +o | grep xtrace)
set +o xtrace

MANAGEABLE_SNAPSHOTS_COMPOSITE=composite:openstack_volume_api_v3
MANAGEABLE_SNAPSHOTS_SECTION=filter:manageable_snapshots

function install_manageable_snapshots {
    setup_develop "$MANAGEABLE_SNAPSHOTS_DIR"
}

# Print the authentication strategies for which api-paste.ini has a pipeline
function _manageable_snapshots_pipelines {
    sed -n "/^\[$MANAGEABLE_SNAPSHOTS_COMPOSITE\]/,/^\[/ {
        s/^\([a-z_]*\)[ \t]*=.*[ \t]apiv3[ \t]*$/\1/p
    }" "$CINDER_API_PASTE_INI"
}

function configure_manageable_snapshots {
    local pipeline filters
    if [[ "$MANAGEABLE_SNAPSHOTS_FILTER" == "True" ]]; then
        iniset "$CINDER_API_PASTE_INI" $MANAGEABLE_SNAPSHOTS_SECTION \
            paste.filter_factory manageable_snapshots.api:filter_factory
        for pipeline in $(_manageable_snapshots_pipelines); do
            filters=$(iniget "$CINDER_API_PASTE_INI" $MANAGEABLE_SNAPSHOTS_COMPOSITE "$pipeline")
            [[ " $filters " != *" manageable_snapshots "* ]] || continue
            iniset "$CINDER_API_PASTE_INI" $MANAGEABLE_SNAPSHOTS_COMPOSITE \
                "$pipeline" "${filters% apiv3} manageable_snapshots apiv3"
        done
    fi
    if [[ "$MANAGEABLE_SNAPSHOTS_MANAGER" == "True" ]]; then
        iniset "$CINDER_CONF" DEFAULT volume_manager \
            manageable_snapshots.volume.cinder.VolumeManager
    fi
}

function unconfigure_manageable_snapshots {
    local pipeline filters
    if [[ -e "$CINDER_API_PASTE_INI" ]]; then
        for pipeline in $(_manageable_snapshots_pipelines); do
            filters=$(iniget "$CINDER_API_PASTE_INI" $MANAGEABLE_SNAPSHOTS_COMPOSITE "$pipeline")
            iniset "$CINDER_API_PASTE_INI" $MANAGEABLE_SNAPSHOTS_COMPOSITE \
                "$pipeline" "${filters/ manageable_snapshots / }"
        done
        inidelete "$CINDER_API_PASTE_INI" $MANAGEABLE_SNAPSHOTS_SECTION paste.filter_factory
        sed -i "/^\[$MANAGEABLE_SNAPSHOTS_SECTION\]$/ d" "$CINDER_API_PASTE_INI"
    fi
    if [[ -e "$CINDER_CONF" &&
        "$(iniget "$CINDER_CONF" DEFAULT volume_manager)" == manageable_snapshots.* ]]; then
        inidelete "$CINDER_CONF" DEFAULT volume_manager
    fi
}

function cleanup_manageable_snapshots {
    local PIP_VIRTUAL_ENV=$PIP_VIRTUAL_ENV
    if [[ "$GLOBAL_VENV" == "True" ]]; then
        # pip_install uses this environment by itself, pip_uninstall does not.
        PIP_VIRTUAL_ENV=$DEVSTACK_VENV
    fi
    pip_uninstall manageable-snapshots
}

if is_service_enabled cinder; then
    if [[ "$1" == "stack" && "$2" == "install" ]]; then
        echo_summary "Installing manageable-snapshots"
        install_manageable_snapshots
    elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
        echo_summary "Loading manageable-snapshots into Cinder"
        configure_manageable_snapshots
    elif [[ "$1" == "unstack" ]]; then
        unconfigure_manageable_snapshots
    elif [[ "$1" == "clean" ]]; then
        cleanup_manageable_snapshots
    fi
fi

# Restore xtrace
$_XTRACE_MANAGEABLE_SNAPSHOTS
