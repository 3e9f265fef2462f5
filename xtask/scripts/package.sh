#!/usr/bin/env bash
# The package of the library: packed, built from the package alone, and held to its size.
#
#   xtask/scripts/package.sh
#
# The size is that of the file which the registry would keep.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

limit_kib=640
folder=${CARGO_TARGET_DIR:-target}/package
rm -f "$folder"/tweedie-*.crate
# What git does not know is not packed: --allow-dirty is for changes that are not yet committed.
cargo package -p tweedie --locked --allow-dirty --all-features
file=$(echo "$folder"/tweedie-*.crate)
bytes=$(wc -c <"$file")
kib=$(((bytes + 1023) / 1024))
# The whole list at once: a reader that stops at its first find would end tar with an error.
list=$(tar -tzf "$file")
files=$(wc -l <<<"$list")
if [[ $list != */LICENSE-MIT* || $list != */LICENSE-APACHE* ]]; then
  echo "error: expected both licences in the package" >&2
  exit 1
fi
if ((kib > limit_kib)); then
  echo "error: expected at most $limit_kib KiB, found $kib KiB" >&2
  exit 1
fi
echo "tools: $(cargo --version)"
echo "$(basename "$file"): $files files, $kib KiB, built from the package"
