#!/usr/bin/env bash
# tweedie on Burn tensors: the tests of integrations/burn with Burn's fusion on and off, a short training that stops and resumes,
# and a short comparison with Burn's own operations. Compiling Burn takes a quarter of an hour on two cores, once.
#
#   xtask/scripts/burn.sh
#
# Installs Mesa's Vulkan driver through apt-get if there is no driver at all. Exits 3 if it cannot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if (($# > 0)); then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
export TWEEDIE_REQUIRE_ADAPTER=1
burn=(--manifest-path integrations/burn/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/burn")

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

cargo build --quiet "${burn[@]}" --examples
if ! cargo run --quiet "${burn[@]}" --example shapes -- --adapter >/dev/null 2>&1; then
  if ! command -v apt-get >/dev/null; then
    echo "error: no GPU driver found; install Mesa's (Fedora: mesa-vulkan-drivers, Arch: vulkan-swrast)" >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libvulkan1 mesa-vulkan-drivers >&2
fi

status=0
cargo test --quiet "${burn[@]}" || status=1
cargo run --quiet "${burn[@]}" --example side_by_side -- --steps 10 || status=1
cargo test --quiet "${burn[@]}" --no-default-features --tests || status=1
if ((status == 0)); then echo "burn: every test passed, with fusion and without"; else echo "burn: a test FAILED"; fi
exit $status
