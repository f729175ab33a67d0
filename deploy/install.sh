#!/bin/sh
# Installs the daemon on this machine, or brings what is installed up to date.
#
# usage: deploy/install.sh [--binary FILE] [--webhook] [--nginx] [--root DIR]
#
#   --binary FILE  the program [default: target/release/xiaoo-app, else target/debug/…]
#   --webhook      begin with a configuration for webhooks, not for the long connection
#   --nginx        install the nginx site, too
#   --root DIR     install below DIR, as for an image: no user is made and nothing is
#                  started [default: $DESTDIR]
#
# May be run again. The program and the unit are replaced; the configuration, the
# secrets and the nginx site are left as they are. Nothing is started: the last lines
# say how.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}
binary=
example=long-connection.toml
nginx=no
# A package has brought the program and the unit already.
packaged=no
unit=xiaoo-rebuild.service
user=xiaoo

fail() { # why, exit status
    echo "install.sh: $1" >&2
    exit "${2:-1}"
}

while [ $# -gt 0 ]; do
    case $1 in
    --binary)
        [ $# -ge 2 ] || fail "--binary needs a file" 2
        binary=$2
        shift
        ;;
    --root)
        [ $# -ge 2 ] || fail "--root needs a directory" 2
        root=$2
        shift
        ;;
    --webhook) example=webhook.toml ;;
    --nginx) nginx=yes ;;
    --packaged) packaged=yes ;;
    -h | --help)
        sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "unknown option $1; --help lists them" 2 ;;
    esac
    shift
done
root=${root%/}

# Whether this is about the machine that runs, and not an image.
is_live() { [ -z "$root" ]; }

if is_live && [ "$(id -u)" != 0 ]; then
    fail "only root can install; or give --root DIR"
fi
if [ "$packaged" = no ]; then
    for built in "$here/../target/release/xiaoo-app" "$here/../target/debug/xiaoo-app"; do
        [ -n "$binary" ] || [ ! -f "$built" ] || binary=$built
    done
    [ -n "$binary" ] || fail "no program is built: cargo build -p xiaoo-app --release"
    version=$("$binary" --version) || fail "$binary does not run on this machine"
fi

say() { echo "  $*"; }

# Puts a file in place in one step: whoever reads it sees the old or the new one.
place() { # mode, from, to
    install -m "$1" "$2" "$root$3.new"
    mv -f "$root$3.new" "$root$3"
}

# For what people change: only when there is none.
place_once() { # mode, from, to
    if [ -e "$root$3" ]; then
        say "$3: left as it is"
    else
        place "$1" "$2" "$3"
        say "$3: new, to be filled in"
    fi
}

owned() { # owner, path
    ! is_live || chown "$1" "$2"
}

if is_live && ! id "$user" >/dev/null 2>&1; then
    useradd --system --user-group --home-dir /var/lib/xiaoo --no-create-home \
        --shell /usr/sbin/nologin "$user"
    say "user $user: new"
fi

install -d -m 755 "$root/opt/xiaoo" "$root/opt/xiaoo/bin" "$root/opt/xiaoo/config" \
    "$root/opt/xiaoo/adt" "$root/opt/xiaoo/adt/skills"
# What the daemon writes is nobody else's to read.
install -d -m 750 "$root/opt/xiaoo/app" "$root/var/lib/xiaoo" \
    "$root/var/lib/xiaoo/agents" "$root/var/lib/xiaoo/agents/main"
for directory in /opt/xiaoo/app /var/lib/xiaoo /var/lib/xiaoo/agents /var/lib/xiaoo/agents/main; do
    owned "$user:$user" "$root$directory"
done

if [ "$packaged" = no ]; then
    place 755 "$binary" /opt/xiaoo/bin/xiaoo-app
    say "/opt/xiaoo/bin/xiaoo-app: $version"
    install -d -m 755 "$root/etc/systemd/system"
    place 644 "$here/systemd/$unit" "/etc/systemd/system/$unit"
    say "/etc/systemd/system/$unit"
fi

place_once 640 "$here/examples/$example" /opt/xiaoo/config/config.toml
owned "root:$user" "$root/opt/xiaoo/config/config.toml"
# systemd reads it, as root; the daemon gets what is in it.
place_once 600 "$here/examples/xiaoo.env.example" /opt/xiaoo/config/xiaoo.env
if [ "$nginx" = yes ]; then
    install -d -m 755 "$root/etc/nginx/conf.d"
    place_once 644 "$here/nginx/xiaoo.conf" /etc/nginx/conf.d/xiaoo.conf
fi

if is_live && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
echo
if is_live && [ -d /run/systemd/system ] && systemctl is-active --quiet "$unit"; then
    # The package restarts it by itself.
    [ "$packaged" = yes ] ||
        echo "The daemon that runs is the old one until: systemctl restart $unit"
else
    echo "Fill in /opt/xiaoo/config/config.toml and xiaoo.env, or have it asked for:"
    echo "  /opt/xiaoo/bin/xiaoo-app init --config /opt/xiaoo/config/config.toml"
    echo "Then:"
    echo "  systemctl enable --now $unit"
fi
if [ "$nginx" = yes ]; then
    echo "Set server_name in /etc/nginx/conf.d/xiaoo.conf, then:"
    echo "  nginx -t && systemctl reload nginx"
fi
