#!/bin/sh
# Takes the daemon off this machine.
#
# usage: deploy/uninstall.sh [--purge] [--root DIR]
#
#   --purge     remove the configuration, the secrets, the agents' files, the store with
#               all conversations, and the user, too; a checkout in /opt/xiaoo/src stays
#   --root DIR  uninstall below DIR, as from an image [default: $DESTDIR]
#
# May be run again. Without --purge a later install.sh goes on where this one stopped.
set -eu

root=${DESTDIR:-}
purge=no
unit=xiaoo-rebuild.service
user=xiaoo

fail() { # why, exit status
    echo "uninstall.sh: $1" >&2
    exit "${2:-1}"
}

while [ $# -gt 0 ]; do
    case $1 in
    --purge) purge=yes ;;
    --root)
        [ $# -ge 2 ] || fail "--root needs a directory" 2
        root=$2
        shift
        ;;
    -h | --help)
        sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "unknown option $1; --help lists them" 2 ;;
    esac
    shift
done
root=${root%/}

is_live() { [ -z "$root" ]; }
has_systemd() { is_live && [ -d /run/systemd/system ]; }

if is_live && [ "$(id -u)" != 0 ]; then
    fail "only root can uninstall; or give --root DIR"
fi

remove() { # path
    if [ -e "$root$1" ]; then
        rm -rf -- "$root$1"
        echo "  $1: removed"
    fi
}

# Running turns may end: this takes as long as they do, within the grace period.
if has_systemd && [ -e "/etc/systemd/system/$unit" ]; then
    systemctl disable --now "$unit"
fi
remove "/etc/systemd/system/$unit"
! has_systemd || systemctl daemon-reload
remove /etc/nginx/conf.d/xiaoo.conf
if has_systemd && systemctl is-active --quiet nginx; then
    systemctl reload nginx
fi
remove /opt/xiaoo/bin

if [ "$purge" = yes ]; then
    for ours in config app adt; do
        remove "/opt/xiaoo/$ours"
    done
    # What else is there is somebody's, such as the checkout that this was built from.
    rmdir "$root/opt/xiaoo" 2>/dev/null || true
    remove /var/lib/xiaoo
    if is_live && id "$user" >/dev/null 2>&1; then
        userdel "$user"
        echo "  user $user: removed"
    fi
else
    echo "Configuration, workspaces and conversations are left; --purge removes them, too."
fi
