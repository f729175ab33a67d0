#!/usr/bin/env bash
# proto-core on other machines than ours: the vectors that pass on x86-64 pass
# on an emulated Cortex-M4 without an allocator, and in WebAssembly under Node.
#
#   targets/run.sh             all
#   targets/run.sh cortex-m4   only those named
#
# Installs what is missing on Debian, builds what has changed, prints a line or
# two for each target, and fails when a vector fails or a size is over its bound.
set -euo pipefail
cd "$(dirname "$0")"

# What the core may take. RAM counts beside the buffer of one frame.
FLASH_BYTES_MAX=$((48 * 1024))
RAM_BYTES_MAX=$((8 * 1024))
# Recorded frames: every one is read on every target.
FRAMES=61
# What a browser downloads before the first frame.
WASM_BYTES_MAX=$((100 * 1024))

main() {
    # Debian's Rust comes with the sources of its library, so that the library
    # can be built for targets that rustup has not installed.
    need /usr/bin/rustc rustc-web
    need /usr/bin/cargo cargo-web
    need /usr/src/rustc-*/library rust-web-src
    need /usr/bin/ld.lld lld
    local targets=("$@")
    [ $# -gt 0 ] || targets=(cortex-m4 wasm)
    local target
    for target in "${targets[@]}"; do
        case $target in
            cortex-m4) cortex_m4 ;;
            wasm) wasm ;;
            *) fail "no such target: $target" ;;
        esac
    done
}

cortex_m4() {
    need /usr/bin/qemu-system-arm qemu-system-arm
    need /usr/bin/readelf binutils
    build cortex-m4
    local images=cortex-m4/target/thumbv7em-none-eabi/release
    local line frames acks events facts requests steps stack frame
    line=$(emulate $images/vectors)
    read_counts "$line"
    all_of "$frames" $FRAMES "recorded frames"
    echo "cortex-m4: $frames frames, $acks acknowledgements, $events events" \
        "($facts facts), $requests webhook requests, a session of $steps steps"

    local flash ram
    line=$(emulate $images/size)
    read_counts "$line"
    flash=$(bytes_of $images/size .vector_table .text .rodata .data)
    ram=$(($(bytes_of $images/size .data .bss .uninit) - frame + stack))
    echo "cortex-m4: flash $(kb "$flash"), RAM $(kb "$ram")" \
        "($(kb "$stack") of it stack) beside a frame buffer of $(kb "$frame")"
    at_most "$flash" $FLASH_BYTES_MAX "flash"
    at_most "$ram" $RAM_BYTES_MAX "RAM"
}

wasm() {
    need /usr/bin/wasm-opt binaryen
    command -v node >/dev/null || need /usr/bin/node nodejs
    build wasm
    local module=wasm/target/feishu.wasm
    # What LLVM leaves to those who link: 4 % of the module.
    wasm-opt -Oz --converge --enable-simd --enable-bulk-memory --enable-sign-ext \
        --enable-nontrapping-float-to-int --strip-debug --strip-producers \
        wasm/target/wasm32-unknown-unknown/release/feishu.wasm -o $module

    local line frames events requests steps size
    line=$(node wasm/vectors.mjs $module ../vectors) || fail "a vector in WebAssembly"
    read_counts "$line"
    all_of "$frames" $FRAMES "recorded frames"
    size=$(stat -c %s $module)
    echo "wasm: $frames frames, $events events, $requests webhook requests," \
        "a session of $steps steps; module $size bytes"
    at_most "$size" $WASM_BYTES_MAX "the module"
}

build() { # folder
    (cd "$1" && RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 /usr/bin/cargo build -q --release --locked) ||
        fail "$1 does not build"
}

emulate() { # image
    timeout 60 qemu-system-arm -cpu cortex-m4 -machine netduinoplus2 -nographic \
        -semihosting-config enable=on,target=native -kernel "$1" </dev/null ||
        fail "$1 failed"
}

# Sets the variables that a line of `name=number` names.
read_counts() { # line
    local pair
    echo "$1" | grep -qE '^([a-z]+=[0-9]+ ?)+$' || fail "$1"
    for pair in $1; do
        printf -v "${pair%%=*}" %d "$((10#${pair#*=}))"
    done
}

# The size of an image's sections, in bytes.
bytes_of() { # image, section…
    local image=$1 sum=0 name size
    shift
    while read -r name size; do
        [[ " $* " != *" $name "* ]] || sum=$((sum + 16#$size))
    done < <(readelf -SW "$image" | sed -nE 's/^ *\[ *[0-9]+\] +(\.[^ ]+) +[A-Z_]+ +[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) .*/\1 \2/p')
    [ $sum -gt 0 ] || fail "$image has none of $*"
    echo $sum
}

kb() { # bytes
    echo "$(($1 * 10 / 1024 / 10)).$(($1 * 10 / 1024 % 10)) KB"
}

at_most() { # bytes, bound, what
    [ "$1" -lt "$2" ] || fail "$3 is $1 bytes, and must be below $2"
}

all_of() { # count, all, what
    [ "$1" -eq "$2" ] || fail "$1 of $2 $3"
}

need() { # file, package
    compgen -G "$1" >/dev/null && return
    echo "installing $2"
    local sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    if [ -z "${apt_updated:-}" ]; then
        "${sudo[@]}" apt-get update -qq
        apt_updated=1
    fi
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

main "$@"
