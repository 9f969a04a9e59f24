# Functions that tools/test, tools/demo and .ci/run share.

ROOT=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
# The language, the input and the proxies of the caller must not matter.
exec </dev/null
export LC_ALL=C.UTF-8 no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# Debian installs servers in folders that are in root's PATH only.
PATH=$PATH:/usr/sbin:/sbin

say() {
    printf '%(%H:%M:%S)T %s\n' -1 "$*"
}

usage() {  # print the comment at the top of the script
    sed -n '2,/^[^#]/p' "$0" | sed '$d; s/^#$//; s/^# //'
}

quietly() {  # quietly WHAT COMMAND...: show the output only if it fails
    local what=$1 log ticker status=0
    shift
    log=$(mktemp)
    say "$what"
    (
        # A reader of the output must not wait for the end of the sleep.
        seconds=0
        while sleep 10 3>&- && kill -0 $$; do
            say "$what: $(( seconds += 10 )) s" >&3
        done
    ) 3>&1 >/dev/null 2>&1 &
    ticker=$!
    "$@" >"$log" 2>&1 || status=$?
    kill "$ticker" 2>/dev/null || true
    (( status == 0 )) || cat "$log"
    rm -f "$log"
    return "$status"
}

debian() {  # debian PACKAGE...: install them, or print the missing ones
    local missing=() package
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
            grep -q 'ok installed' || missing+=("$package")
    done
    (( ${#missing[@]} )) || return 0
    if (( EUID != 0 )) || ! command -v apt-get >/dev/null; then
        echo "missing: install ${missing[*]} and run this again" >&2
        echo "         (on Debian, as root: apt-get install ${missing[*]})" >&2
        return 1
    fi
    quietly "installing Debian's ${missing[*]}" install_debian "${missing[@]}"
}

install_debian() {
    local policy=/usr/sbin/policy-rc.d mine= status=0
    # Do not start Debian's services: the tests start their own servers.
    if [ ! -e "$policy" ]; then
        mine=$policy
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    {
        apt-get update -q &&
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends "$@"
    } || status=$?
    [ -z "$mine" ] || rm -f "$mine"
    return "$status"
}

python_ready() {
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
        command -v python3 >/dev/null ||
            { debian python3 && python_ready; return; }
        echo "Python 3.11 or newer is needed; python3 is $(python3 -V)" >&2
        return 1
    fi
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        debian python3-venv || return
    # pbr reads the version from git.
    command -v git >/dev/null || debian git
}

virtualenv() {  # virtualenv DIR PIP-ARGUMENT...: create or update it
    local dir=$1 python have
    shift
    python_ready || return
    python=$(python3 -c 'import sys; print(*sys.version_info[:2], sep=".")')
    have=$({ echo "$python $*"; cd "$ROOT" && cat setup.cfg setup.py \
        pyproject.toml requirements.txt test-requirements.txt; } | sha256sum)
    ! grep -qxF "$have" "$dir/installed" 2>/dev/null || return 0
    # tox leaves a file with that name, which contains the path of its
    # environment.
    [ ! -f "$dir" ] || rm "$dir"
    if [ ! -x "$dir/lib/python$python" ] || [ ! -x "$dir/bin/pip" ]; then
        quietly "making ${dir#"$ROOT"/}" python3 -m venv --clear "$dir" ||
            return
    fi
    quietly "installing into ${dir#"$ROOT"/} (about a minute)" \
        "$dir/bin/python" -m pip install "$@" || return
    # The demo and the tests install different packages into one environment.
    echo "$have" >>"$dir/installed"
}

tests_ready() {  # install the project and its test packages into .venv
    virtualenv "$ROOT/.venv" -e "$ROOT[mysql,postgresql,etcd]" \
        -r "$ROOT/test-requirements.txt"
}

clients_ready() {  # install OpenStack's clients into .venv-clients
    virtualenv "$ROOT/.venv-clients" python-openstackclient \
        python-cinderclient "$@"
}

cinder_ready() {  # cinder_ready VENV RELEASE PACKAGE...: Cinder and project
    local venv=$1 release=$2 pins=$ROOT/tools/constraints/cinder-${2%%.*}.txt
    shift 2
    [ -x "$venv/bin/cinder-manage" ] || (( ${release%%.*} > 24 )) ||
        compiler_ready
    virtualenv "$venv" -c "$pins" "cinder==$release" "$@"
    virtualenv "$venv" -c "$pins" -e "$ROOT"
}

ceph_bindings() {  # ceph_bindings VENV: link those of Debian's Python
    local folder=/usr/lib/python3/dist-packages suffix
    debian python3-rbd python3-rados
    suffix=$("$1/bin/python" -c 'import sysconfig
print(sysconfig.get_config_var("EXT_SUFFIX"))')
    if [ ! -e "$folder/rbd$suffix" ]; then
        echo "Debian's Ceph bindings do not fit $(python3 -V):" \
            "$folder/rbd$suffix is missing" >&2
        return 1
    fi
    ln -sf "$folder"/{rbd,rados}"$suffix" "$1"/lib/python3*/site-packages/
}

compiler_ready() {
    command -v gcc >/dev/null && python3-config --includes >/dev/null 2>&1 ||
        debian gcc libc6-dev python3-dev
}
