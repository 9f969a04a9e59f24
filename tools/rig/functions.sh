# Functions that the scripts in this folder share. Each script defines up()
# before it calls main.

usage() {
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
}

free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

spawn() {  # spawn DIR COMMAND...: run it in the background until down()
    local dir=$1
    shift
    setsid "$@" >>"$dir/log" 2>&1 </dev/null &
    SPAWNED=$!
    echo "$SPAWNED ${STOP_SIGNAL:-TERM}" >>"$dir/pids"
}

running() {  # running PID: succeed if the process runs
    # A process that has ended may still be listed: in some containers process
    # 1 does not reap orphans.
    local state
    state=$(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)
    [[ $state && $state != Z* ]]
}

wait_for() {  # wait_for DIR SECONDS COMMAND...: repeat it until it succeeds
    local dir=$1 end=$(( SECONDS + $2 ))
    shift 2
    until "$@" >/dev/null 2>&1 </dev/null; do
        if (( SECONDS >= end )) || ! running "$SPAWNED"; then
            echo "$(basename "$0") did not start in time; its log ends:" >&2
            tail -n 50 "$dir/log" >&2
            down "$dir"
            exit 1
        fi
        sleep 0.3
    done
}

down() {
    local dir=$1 pid signal end=$(( SECONDS + 30 ))
    [ -e "$dir/pids" ] || return 0
    # Stop the processes in reverse order.
    while read -r pid signal; do
        kill "-$signal" -- "-$pid" 2>/dev/null || continue
        while running "$pid" && (( SECONDS < end )); do
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    done < <(tac "$dir/pids")
    rm -f "$dir/pids"
}

main() {
    local dir
    case "${1:-}:$#" in
    up:3)
        mkdir -p "$2"
        dir=$(realpath "$2")
        down "$dir"
        up "$dir" "$3" ;;
    down:2)
        [ ! -d "$2" ] || down "$(realpath "$2")" ;;
    -h:* | --help:*)
        usage ;;
    *)
        usage >&2
        exit 2 ;;
    esac
}
