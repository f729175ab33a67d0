#!/bin/sh
# A private PostgreSQL server for tests: in a directory of its own, on a socket only.
#
# Says "ready DIRECTORY" when it answers; then the URL of a database is
# postgres://xiaoo@DIRECTORY/NAME with each / of the directory written as %2F.
# Then obeys one word a line: "stop" (as a crash would), "start", "freeze" and "thaw"
# (the server hangs meanwhile), and answers "done". At the end of its input it ends
# the server and removes everything, so a caller that dies leaves nothing behind.
#
# Needs Debian's postgresql package; as root it runs as the user postgres.
set -eu

say() { printf '%s\n' "$*"; }
die() {
    say "failed: $*"
    exit 1
}

bin=
for candidate in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) \
    "$(pg_config --bindir 2>/dev/null || true)"; do
    if [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ]; then
        bin=$candidate
        break
    fi
done
[ -n "$bin" ] || die "no PostgreSQL server on this machine: apt-get install -y postgresql"

# The server refuses to be root.
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || die "no user postgres: apt-get install -y postgresql"
    as() { runuser -u postgres -- "$@"; }
else
    as() { "$@"; }
fi

cd /
dir=$(as mktemp -d "${TMPDIR:-/tmp}/xiaoo-postgres.XXXXXX")
# The postmaster and then all that serve a connection: one that stands still starts no more of
# them. Whoever has ended meanwhile needs no signal.
signal() {
    main=$(head -n 1 "$dir/data/postmaster.pid")
    kill "$1" "$main"
    kill "$1" $(awk -v main="$main" '$4 == main { print $1 }' /proc/[0-9]*/stat 2>/dev/null) \
        2>/dev/null || true
}

finish() {
    signal -CONT 2>/dev/null || true
    as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

as "$bin/initdb" -D "$dir/data" -A trust -U xiaoo -E UTF8 --locale=C --no-sync \
    >"$dir.log" 2>&1 || die "initdb: $(tail -n 3 "$dir.log")"
rm -f "$dir.log"
# One user needs a password.
as sh -c "sed -i '1i local all guarded scram-sha-256' '$dir/data/pg_hba.conf'"
# No test here is about the server's own durability.
as sh -c "cat >>'$dir/data/postgresql.conf'" <<EOF
listen_addresses = ''
unix_socket_directories = '$dir'
fsync = ${XIAOO_TEST_FSYNC:-off}
max_connections = 300
shared_buffers = 64MB
EOF

start() {
    as "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start >/dev/null 2>&1 ||
        die "the server did not start: $(tail -n 3 "$dir/log")"
}
start
say "ready $dir"
while read -r word; do
    case $word in
    stop) as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null ;;
    start) start ;;
    freeze) signal -STOP ;;
    thaw) signal -CONT ;;
    *) die "what is $word?" ;;
    esac
    say done
done
