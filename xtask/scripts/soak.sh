#!/usr/bin/env bash
# A hundred thousand steps of changing shapes in one process: memory must stay flat and results the same to the bit.
#
#   xtask/scripts/soak.sh [STEPS]
#
# A short run with a planted leak comes first, which must be detected. The last line is the summary.
set -euo pipefail

steps=${1:-100000}
if [[ $# -gt 1 || ! $steps =~ ^[0-9]+$ ]]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
cargo test-workspace --quiet --test soak --no-run

status=0
leak=$(cargo test-workspace --quiet --test soak -- --steps 3000 --leak 2>/dev/null) || status=$?
if ((status != 101 && status != 1)) || [[ $leak != *": FAILED; 0 of "* ]]; then
  printf '%s\n' "$leak"
  echo "soak: FAILED: a planted leak was not detected" >&2
  exit 1
fi
echo "a planted leak is detected"

exec cargo test-workspace --quiet --test soak -- --steps "$steps"
