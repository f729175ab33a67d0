#!/bin/bash
# Installs the daemon with install.sh, or as a Debian package, has init fill in what it
# needs, and runs it under a real systemd, which is the first process of namespaces of its
# own, with file systems that nobody else sees. Ends with status 0 when the unit started
# because Feishu delivered, the agents' sandbox worked within its limits, what it said is in
# the journal field by field, and it stopped in good order; a package's daemon also goes on
# with the new program when the package is upgraded, and goes with it when it is removed.
#
# usage: tests/deploy/systemd.sh PROGRAMS WORK [PACKAGE]        (as root)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
deploy=$(cd "$here/../../deploy" && pwd)
unit=xiaoo-rebuild.service

outside() { # programs, work, package or nothing
    local programs=$1 work=$2
    mkdir -p "$work"
    [ -z "$3" ] || cp "$3" "$work/package.deb"
    echo "it did not get there" >"$work/checked"
    timeout 120 unshare --pid --mount --cgroup --net --fork --kill-child \
        "$here/systemd.sh" --inside "$programs" "$work" >"$work/console" 2>&1 || true
    cat "$work/checked"
    if [ "$(tail -n 1 "$work/checked")" != "all is well" ]; then
        tail -n 60 "$work/console" "$work/daemon.log"
        return 1
    fi
}

# In the namespaces, before systemd.
inside() { # programs, work
    local programs=$1 work=$2
    mount --make-rprivate /
    mount -t proc proc /proc
    mount -t tmpfs tmpfs /opt
    for directory in /etc /usr /var/lib; do
        local layer=/opt/layer$directory
        mkdir -p "$layer/upper" "$layer/work"
        mount -t overlay overlay "$directory" \
            -o "lowerdir=$directory,upperdir=$layer/upper,workdir=$layer/work"
    done
    mount -t tmpfs tmpfs /run
    mkdir -p /run/test
    mount --bind "$work" /run/test

    # A network with nobody else in it, so that the unit's port is free.
    python3 - <<'PYTHON'
import fcntl, socket, struct
UP, SIOCSIFFLAGS = 1, 0x8914
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", UP))
PYTHON
    "$programs/feishu-sim" >/run/test/sim 2>/run/test/sim.log &
    "$programs/model-sim" 127.0.0.1:0 >/run/test/model 2>&1 &
    # The last line that each says of itself.
    has_begun() { # what, its last word
        for _ in $(seq 800); do
            ! grep -qs "^$2 *= .*$" "/run/test/$1" || return 0
            sleep 0.05
        done
        echo "$1 has not begun within 40 s" | tee /run/test/checked
        return 1
    }
    has_begun sim verification_token
    has_begun model api_base

    # There is no journal yet: who asks for it is told, and has the lines all the same.
    "$programs/xiaoo-app" demo --port 0 --log-format journald \
        >/run/test/demo 2>/run/test/no-journal &
    local demo=$!
    for _ in $(seq 400); do
        grep -qs "the daemon runs" /run/test/no-journal && break
        sleep 0.05
    done
    kill -INT "$demo"

    local unit_of_init=
    if [ -e /run/test/package.deb ]; then
        # What it wants of a system is here or is not tried here.
        dpkg --force-depends --install /run/test/package.deb
    else
        "$deploy/install.sh" --binary "$programs/xiaoo-app"
        unit_of_init=--systemd-unit
    fi
    value() { sed -n "s/^$1 *= \"\(.*\)\"/\1/p" "/run/test/$2"; }
    # As an operator may call it, who is there already.
    cd /opt/xiaoo/config
    FEISHU_APP_SECRET=$(value app_secret sim) OPENROUTER_API_KEY=k \
        ../bin/xiaoo-app init --config config.toml --yes $unit_of_init \
        --app-id "$(value app_id sim)" --base-url "$(value base_url sim)" \
        --provider compatible --api-base "$(value api_base model)" --model m \
        --api-key-env OPENROUTER_API_KEY >/run/test/init 2>&1 &&
        grep -q "systemctl restart $unit" /run/test/init || {
        cat /run/test/init
        echo "init does not set up a server" | tee /run/test/checked
        return 1
    }
    cd /
    install -m 644 "$here/sandbox.py" /opt/xiaoo/sandbox.py

    # Nothing of the machine's own but this unit, the journal, and what both are tried with.
    # The journal's other sockets would be the machine's own.
    for other in network-online.target systemd-journald-audit.socket \
        systemd-journald-dev-log.socket; do
        ln -sf /dev/null "/etc/systemd/system/$other"
    done
    mkdir -p "/etc/systemd/system/$unit.d"
    cat >"/etc/systemd/system/$unit.d/test.conf" <<UNIT
[Unit]
DefaultDependencies=no
Requires=systemd-journald.service
After=systemd-journald.service
[Service]
ExecStartPost=/usr/bin/env python3 /opt/xiaoo/sandbox.py
UNIT
    cat >/etc/systemd/system/try.service <<UNIT
[Unit]
DefaultDependencies=no
Wants=$unit
After=$unit
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=$here/systemd.sh --check
UNIT
    printf '[Unit]\nDefaultDependencies=no\nRequires=try.service\n' >/etc/systemd/system/try.target

    # A hierarchy of cgroups for this systemd alone.
    umount -l /sys/fs/cgroup
    if ! mount -t cgroup2 cgroup2 /sys/fs/cgroup || [ ! -w /sys/fs/cgroup/cgroup.procs ]; then
        mount -t tmpfs tmpfs /sys/fs/cgroup
        mkdir /sys/fs/cgroup/systemd
        mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
    fi
    exec env -i container=test PATH="$PATH" \
        /lib/systemd/systemd --system --unit=try.target --log-target=console
}

# Under systemd, when the unit has started.
check() {
    exec >/run/test/checked 2>&1
    trap 'journalctl -u "$unit" >/run/test/daemon.log' EXIT
    property() { systemctl show --value -p "$1" "$unit"; }
    same() { # what, expected
        local found
        found=$(property "$1")
        [ "$found" = "$2" ] || {
            echo "$1: expected $2, found $found"
            exit 1
        }
        echo "$1: $found"
    }
    same ActiveState active
    same StatusText "Feishu delivers"
    same WatchdogUSec 1min
    grep "^xiaoo-app: the journal cannot be reached, logging to stderr instead: " /run/test/no-journal
    local runs=1
    if [ -e /run/test/package.deb ]; then
        local first
        first=$(property MainPID)
        runs=3
        dpkg --force-depends --install /run/test/package.deb
        same ActiveState active
        same StatusText "Feishu delivers"
        [ "$(property MainPID)" != "$first" ] || {
            echo "it is the old program that runs"
            exit 1
        }
    fi
    systemctl stop "$unit"
    same ActiveState inactive
    same Result success
    same ExecMainStatus 0
    if [ -e /run/test/package.deb ]; then
        systemctl start "$unit"
        dpkg --purge xiaoo
        same ActiveState inactive
        same LoadState not-found
        [ ! -e /opt/xiaoo ] && ! id xiaoo
    fi
    journalctl --sync
    journalctl -u "$unit" -o json | python3 "$here/journal.py" "$runs"
    journalctl -u "$unit" F_CHANNEL=feishu | grep "feishu websocket: connected attempt=1"
    echo "all is well"
}

case $1 in
--inside) inside "$2" "$3" ;;
--check) check ;;
*) outside "$(cd "$1" && pwd)" "$2" "${3:-}" ;;
esac
