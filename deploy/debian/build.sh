#!/bin/sh
# Makes a Debian package of a program that is built.
#
# usage: deploy/debian/build.sh [PROGRAM [DIRECTORY]]
#
#   PROGRAM    [default: target/release/xiaoo-app]
#   DIRECTORY  where the package goes [default: target/debian]
#
# needs: dpkg-deb, objdump. The last line is the package's path.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
deploy=$(dirname "$here")
program=${1:-$deploy/../target/release/xiaoo-app}
out=${2:-$deploy/../target/debian}
# The same program gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$program")}
export SOURCE_DATE_EPOCH

version=$("$program" --version | sed 's/.* //')
architecture=$(dpkg --print-architecture)
# The newest libc that the program asks for.
libc=$(objdump -T "$program" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -Vu | tail -n 1)

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
put() { # mode, from, to
    install -D -m "$1" "$2" "$tree$3"
}

put 755 "$program" /opt/xiaoo/bin/xiaoo-app
put 644 "$deploy/systemd/xiaoo-rebuild.service" /usr/lib/systemd/system/xiaoo-rebuild.service
put 755 "$deploy/install.sh" /usr/share/xiaoo/install.sh
for file in "$deploy"/nginx/*.conf; do
    put 644 "$file" "/usr/share/xiaoo/nginx/$(basename "$file")"
done
for file in "$deploy"/examples/*; do
    put 644 "$file" "/usr/share/xiaoo/examples/$(basename "$file")"
done
put 644 "$deploy/README.md" /usr/share/doc/xiaoo/README.md
put 644 "$deploy/README.zh-CN.md" /usr/share/doc/xiaoo/README.zh-CN.md
{
    echo "xiaoO, under either of these licences, at your choice."
    for licence in MIT APACHE; do
        printf '\n----\n\n'
        cat "$deploy/../LICENSE-$licence"
    done
} >"$tree/usr/share/doc/xiaoo/copyright"
chmod 644 "$tree/usr/share/doc/xiaoo/copyright"

install -d -m 755 "$tree/DEBIAN"
for script in postinst prerm postrm; do
    put 755 "$here/$script" "/DEBIAN/$script"
done
cat >"$tree/DEBIAN/control" <<CONTROL
Package: xiaoo
Version: $version
Architecture: $architecture
Maintainer: the xiaoO developers <xiaoo@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f 1)
Depends: libc6 (>= $libc), libgcc-s1, ca-certificates, passwd
Suggests: nginx
Section: net
Priority: optional
Description: LLM agent in Feishu and Lark
 A daemon that receives messages from Feishu or Lark, by webhook or over a long
 connection that it opens itself, and has a language model answer them.
 .
 After installing:
 /opt/xiaoo/bin/xiaoo-app init --config /opt/xiaoo/config/config.toml
 systemctl enable --now xiaoo-rebuild.service
CONTROL

mkdir -p "$out"
package=$out/xiaoo_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$tree" "$package" >/dev/null
echo "$package"
