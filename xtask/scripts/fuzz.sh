#!/usr/bin/env bash
# Fuzzes everything that reads bytes or numbers from a user, each target of fuzz/ for so many seconds:
#
#   xtask/scripts/fuzz.sh [SECONDS] [TARGET...]
#
# The default is 600 seconds and all targets. Needs a C++ compiler, and cargo-fuzz, which it installs into target/ if it is missing.
# Inputs that break a promise are left in fuzz/artifacts; add them to fuzz/seeds with the fix. The last line is the summary.
set -euo pipefail

seconds=${1:-600}
if [[ ! $seconds =~ ^[0-9]+$ ]]; then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
shift || true

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD
targets=("$@")
if ((${#targets[@]} == 0)); then
  mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | tail -n +2)
fi

if ! command -v cargo-fuzz >/dev/null; then
  export PATH=$root/target/tools/bin:$PATH
  [[ -x $root/target/tools/bin/cargo-fuzz ]] || cargo install --quiet --locked --root target/tools cargo-fuzz
fi
# Coverage counters are an unstable option of the compiler; this makes a stable one accept it.
export RUSTC_BOOTSTRAP=1

cd fuzz
cargo fuzz build --sanitizer none --features programs
failed=()
total=0
for target in "${targets[@]}"; do
  mkdir -p "corpus/$target"
  status=0
  cargo fuzz run --sanitizer none --features programs "$target" "corpus/$target" "seeds/$target" -- \
    -max_total_time="$seconds" -max_len=2048 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    >"corpus/$target.log" 2>&1 || status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "corpus/$target.log")
  total=$((total + ${executions:-0}))
  if ((status == 0)); then
    printf '%-14s %12d executions\n' "$target" "${executions:-0}"
  else
    failed+=("$target")
    printf '%-14s FAILED, exit code %d; see fuzz/corpus/%s.log\n' "$target" "$status" "$target"
    grep -a -A 4 -m 1 'panicked at' "corpus/$target.log" || tail -n 5 "corpus/$target.log"
  fi
done

if ((${#failed[@]} > 0)); then
  echo "fuzz: FAILED: ${failed[*]} of ${#targets[@]} targets"
  exit 1
fi
echo "fuzz: ${#targets[@]} targets, $seconds s each, $total executions: ok"
