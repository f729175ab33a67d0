#!/usr/bin/env bash
# Chooses a target's committed corpus anew: the fewest files that cover what
# the corpus and the finds of `run.sh` cover. Files with names of words are
# vectors of past failures and stay.
#
#   fuzz/cmin.sh target…
set -euo pipefail
cd "$(dirname "$0")"

# As in bodies/tests/replay.rs, with room for vectors to come.
files_max=32
file_bytes_max=6000
bytes_max=90000

programs=$(find target -path '*-linux-gnu/release' -type d -print -quit)
for target in "$@"; do
    chosen=target/chosen/$target
    given=target/given/$target
    rm -rf "$chosen" "$given"
    mkdir -p "$chosen" "$given"
    find "corpus/$target" "target/found/$target" -type f -size -"${file_bytes_max}"c \
        -exec cp -t "$given" {} + 2>/dev/null || true
    "$programs/$target" -set_cover_merge=1 "$chosen" "$given" >"target/cmin-$target.log" 2>&1
    find "corpus/$target" -type f -regextype egrep -regex '.*/[0-9a-f]{16,40}' -delete
    files=0
    bytes=0
    # In the order of the merge: what covers most comes first.
    while read -r file; do
        size=$(stat -c %s "$file")
        [ "$files" -lt "$files_max" ] || break
        [ "$((bytes + size))" -le "$bytes_max" ] || continue
        name=$(sha256sum "$file" | cut -c 1-16)
        cp "$file" "corpus/$target/$name"
        files=$((files + 1))
        bytes=$((bytes + size))
    done < <(find "$chosen" -type f -printf '%T@ %p\n' | sort -n | cut -d ' ' -f 2)
    echo "$target: $files of $(find "$chosen" -type f | wc -l) files, $bytes bytes"
done
