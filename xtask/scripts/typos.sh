#!/usr/bin/env bash
# Runs typos with _typos.toml, which finds misspelt words in every file.
#
#   xtask/scripts/typos.sh
#
# If typos is not installed, it is taken from PyPI into target/typos.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=${CARGO_TARGET_DIR:-target}/typos
typos=$(command -v typos || true)
if [[ -z $typos ]]; then
  typos=$folder/bin/typos
  if [[ ! -x $typos ]]; then
    python3 -m pip install --quiet --root-user-action ignore --target "$folder" typos==1.52.0 >&2
  fi
fi
echo "tools: $("$typos" --version)"
"$typos"
echo "no misspelt word in $("$typos" --files | wc -l) files"
