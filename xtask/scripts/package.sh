#!/usr/bin/env bash
# Packs the library, builds it from the package alone, and checks the size of the package.
#
#   xtask/scripts/package.sh
#
# The size is that of the file that the registry would keep.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

limit_kib=660
folder=${CARGO_TARGET_DIR:-target}/package
rm -f "$folder"/tweedie-*.crate
# --allow-dirty packs changes that are not committed yet; files that git does not track are still left out.
cargo package -p tweedie --locked --allow-dirty --all-features
file=$(echo "$folder"/tweedie-*.crate)
bytes=$(wc -c <"$file")
kib=$(((bytes + 1023) / 1024))
# The whole list at once: a reader that stops at its first match would make tar fail.
list=$(tar -tzf "$file")
files=$(wc -l <<<"$list")
if [[ $list != */LICENSE-MIT* || $list != */LICENSE-APACHE* ]]; then
  echo "error: expected both licences in the package" >&2
  exit 1
fi
if ((kib > limit_kib)); then
  echo "error: expected a package of at most $limit_kib KiB, found $kib KiB" >&2
  exit 1
fi
echo "tools: $(cargo --version)"
echo "$(basename "$file"): $files files, $kib KiB, built from the package"
