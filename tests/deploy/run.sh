#!/bin/sh
# Holds deploy/ to what deploy/README.md says: the unit before systemd's own checks, the
# scripts and the package in a scratch root, and the nginx sites in a real nginx before
# the real daemon, with a simulated Feishu that pushes events through them.
#
# usage: tests/deploy/run.sh
# needs: cargo, systemd, nginx, openssl, dpkg-deb, binutils, python3
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/tests/deploy
deploy=$root/deploy
built=${CARGO_TARGET_DIR:-$root/target}/debug
unit=xiaoo-rebuild.service
cd "$root"
tests/build.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# nginx has processes of another user.
chmod 755 "$work"
failed=0

check() { # what, command…
    what=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        echo "ok: $what"
    else
        echo "FAILED: $what"
        tail -n 40 "$work/said"
        failed=1
    fi
}

# --- the unit -----------------------------------------------------------------

# systemd looks for the program of a unit that it verifies.
unit_is_right() {
    mkdir -p "$work/unit"
    sed "s|^ExecStart=/opt/xiaoo/bin/xiaoo-app|ExecStart=$built/xiaoo-app|" \
        "$deploy/systemd/$unit" >"$work/unit/$unit"
    systemd-analyze verify "$work/unit/$unit" 2>"$work/unit/said" || cat "$work/unit/said"
    # A setting that it does not know is a warning, and no failure.
    ! grep "$unit" "$work/unit/said"
}

# Of 10 points, 0 being the best.
unit_is_hardened() {
    systemd-analyze security --no-pager --offline=true --threshold=15 "$deploy/systemd/$unit"
}

# What the sandbox of the agents' commands calls when it gives up its rights.
unit_leaves_the_sandbox() {
    for call in capset landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp; do
        grep -q "^SystemCallFilter=[^~]*\b$call\b" "$deploy/systemd/$unit" || return 1
    done
    ! grep "^MemoryDenyWriteExecute=yes\|^RestrictSUIDSGID=yes\|^SystemCallFilter=~.*@resources" \
        "$deploy/systemd/$unit"
}

# --- the scripts --------------------------------------------------------------

mode() { stat -c %a "$1"; }
same() { # expected, found
    [ "$1" = "$2" ] || {
        echo "expected: $1"
        echo "found:    $2"
        return 1
    }
}

has_the_layout() { # root
    same 755 "$(mode "$1/opt/xiaoo/bin/xiaoo-app")" &&
        same 640 "$(mode "$1/opt/xiaoo/config/config.toml")" &&
        same 600 "$(mode "$1/opt/xiaoo/config/xiaoo.env")" &&
        same 750 "$(mode "$1/opt/xiaoo/app")" &&
        same 755 "$(mode "$1/opt/xiaoo/adt/skills")" &&
        same 750 "$(mode "$1/var/lib/xiaoo/agents/main")" &&
        "$1/opt/xiaoo/bin/xiaoo-app" --version
}

scratch=$work/scratch
installs() {
    "$deploy/install.sh" --root "$scratch" --binary "$built/xiaoo-app" --nginx >"$work/told" &&
        # What it says to do next is about the files that it has made.
        grep -q '^  /opt/xiaoo/bin/xiaoo-app init --config /opt/xiaoo/config/config.toml$' "$work/told" &&
        has_the_layout "$scratch" &&
        same 644 "$(mode "$scratch/etc/systemd/system/$unit")" &&
        cmp "$deploy/examples/long-connection.toml" "$scratch/opt/xiaoo/config/config.toml" &&
        cmp "$deploy/nginx/xiaoo.conf" "$scratch/etc/nginx/conf.d/xiaoo.conf"
}

listing() { find "$1" -printf '%P %M %s\n' | sort; }

installs_again() {
    for file in opt/xiaoo/config/config.toml opt/xiaoo/config/xiaoo.env etc/nginx/conf.d/xiaoo.conf; do
        echo '# changed by hand' >>"$scratch/$file"
    done
    echo 'an old unit' >"$scratch/etc/systemd/system/$unit"
    touch "$scratch/var/lib/xiaoo/agents/main/xiaoo.db"
    before=$(sed -n '$p' "$scratch/opt/xiaoo/config/xiaoo.env")
    # By the variable, too.
    DESTDIR=$scratch "$deploy/install.sh" --binary "$built/xiaoo-app" --nginx --webhook
    same '# changed by hand' "$before" &&
        grep -q 'changed by hand' "$scratch/opt/xiaoo/config/config.toml" &&
        grep -q 'changed by hand' "$scratch/etc/nginx/conf.d/xiaoo.conf" &&
        cmp "$deploy/systemd/$unit" "$scratch/etc/systemd/system/$unit" || return 1
    listing "$scratch" >"$work/once"
    "$deploy/install.sh" --root "$scratch/" --binary "$built/xiaoo-app" --nginx
    listing "$scratch" | diff "$work/once" -
}

uninstalls() {
    "$deploy/uninstall.sh" --root "$scratch" && "$deploy/uninstall.sh" --root "$scratch"
    [ ! -e "$scratch/opt/xiaoo/bin" ] && [ ! -e "$scratch/etc/systemd/system/$unit" ] &&
        [ ! -e "$scratch/etc/nginx/conf.d/xiaoo.conf" ] &&
        [ -e "$scratch/opt/xiaoo/config/xiaoo.env" ] &&
        [ -e "$scratch/var/lib/xiaoo/agents/main/xiaoo.db" ] || return 1
    # The guide has people build there.
    mkdir "$scratch/opt/xiaoo/src" && echo work >"$scratch/opt/xiaoo/src/uncommitted" || return 1
    "$deploy/uninstall.sh" --purge --root "$scratch" &&
        same "$scratch/opt/xiaoo/src/uncommitted" "$(find "$scratch" ! -type d)" &&
        rm -r "$scratch/opt/xiaoo/src" && "$deploy/uninstall.sh" --purge --root "$scratch"
    same "" "$(find "$scratch" ! -type d)" && [ ! -e "$scratch/opt/xiaoo" ] &&
        [ ! -e "$scratch/var/lib/xiaoo" ]
}

says_no() { # status, command…
    expected=$1
    shift
    status=0
    "$@" || status=$?
    same "$expected" "$status"
}

refuses() {
    says_no 2 "$deploy/install.sh" --rot "$scratch" &&
        says_no 2 "$deploy/uninstall.sh" --root &&
        says_no 1 "$deploy/install.sh" --root "$work/none" --binary /bin/false &&
        [ ! -e "$work/none" ] &&
        "$deploy/install.sh" --help | grep -q -- '--binary FILE' &&
        "$deploy/uninstall.sh" --help | grep -q -- '--purge'
}

# --- the package --------------------------------------------------------------

package=
packages() {
    # As a release is; packing the rest would take minutes and show nothing.
    strip -o "$work/xiaoo-app" "$built/xiaoo-app"
    package=$(DPKG_DEB_COMPRESSOR_TYPE=none "$deploy/debian/build.sh" \
        "$work/xiaoo-app" "$work/debian") || return 1
    dpkg-deb --info "$package" && dpkg-deb --contents "$package" >"$work/contents" || return 1
    for path in ./opt/xiaoo/bin/xiaoo-app "./usr/lib/systemd/system/$unit" \
        ./usr/share/xiaoo/nginx/xiaoo.conf ./usr/share/xiaoo/examples/reference.toml \
        ./usr/share/doc/xiaoo/copyright; do
        grep -q "root/root .* $path\$" "$work/contents" || {
            echo "$path is not in the package, or is not root's"
            return 1
        }
    done
    # Ours to give, whoever built it; and no secret of ours in it.
    ! grep -v ' root/root ' "$work/contents" && ! grep 'xiaoo\.env$' "$work/contents"
}

# dpkg itself, in a root of its own and without what the package needs of a system.
dpkg_in() { # root, arguments…
    in=$1
    shift
    dpkg --root="$in" --force-script-chrootless --force-depends --force-not-root \
        --log="$work/dpkg.log" "$@"
}

package_installs() {
    box=$work/box
    mkdir -p "$box/var/lib/dpkg/info" "$box/var/lib/dpkg/updates" "$box/var/lib/dpkg/triggers"
    : >"$box/var/lib/dpkg/status"
    dpkg_in "$box" --install "$package" && has_the_layout "$box" || return 1
    echo '# changed by hand' >>"$box/opt/xiaoo/config/config.toml"
    dpkg_in "$box" --install "$package" && dpkg_in "$box" --remove xiaoo || return 1
    grep -q 'changed by hand' "$box/opt/xiaoo/config/config.toml" &&
        [ ! -e "$box/opt/xiaoo/bin/xiaoo-app" ] || return 1
    mkdir "$box/opt/xiaoo/src" && dpkg_in "$box" --purge xiaoo &&
        rmdir "$box/opt/xiaoo/src" "$box/opt/xiaoo" && [ ! -e "$box/var/lib/xiaoo" ]
}

check "systemd finds nothing wrong with the unit" unit_is_right
check "the unit is hardened to 1.5 or better" unit_is_hardened
check "the unit leaves the agents' sandbox what it needs" unit_leaves_the_sandbox
check "install.sh makes the guide's layout" installs
check "install.sh may be run again, and changes nothing that people change" installs_again
check "uninstall.sh removes what runs, and with --purge all" uninstalls
check "wrong usage changes nothing" refuses
check "the Debian package has what it should" packages
check "the Debian package installs, upgrades, and goes" package_installs

# Namespaces and their mounts are root's; elsewhere only the checks above are made.
if [ "$(id -u)" = 0 ]; then
    check "a real systemd starts it when Feishu delivers, sandbox and all, and stops it" \
        "$here/systemd.sh" "$built" "$work/systemd"
    check "the Debian package's daemon starts, is upgraded and removed under a real systemd" \
        "$here/systemd.sh" "$built" "$work/systemd-package" "$package"
else
    echo "left out, since only root can: the daemon under a real systemd"
fi

"$deploy/install.sh" --root "$work/live" --binary "$built/xiaoo-app" >/dev/null
if python3 "$here/nginx.py" "$deploy/nginx" "$built" "$work/live" "$work/nginx"; then
    :
else
    failed=1
fi
exit "$failed"
