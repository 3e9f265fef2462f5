#!/usr/bin/env bash
# ONNX networks in an engine in pure Rust, in tweedie's loops on the host: the tests of integrations/onnx. The digits are compared
# with those of the kernels, which need an adapter.
#
#   xtask/scripts/onnx.sh
#
# Installs Mesa's Vulkan driver through apt-get if there is no driver at all. Exits 3 if it cannot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if (($# > 0)); then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
onnx=(--manifest-path integrations/onnx/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/onnx")

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

# If no adapter is found, the test of the digits fails because one is required.
cargo test --quiet "${onnx[@]}" --no-run
if ! TWEEDIE_REQUIRE_ADAPTER=1 cargo test --quiet "${onnx[@]}" --test digits -- --list >/dev/null 2>&1; then
  if ! command -v apt-get >/dev/null; then
    echo "error: no GPU driver found; install Mesa's (Fedora: mesa-vulkan-drivers, Arch: vulkan-swrast)" >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libvulkan1 mesa-vulkan-drivers >&2
fi
TWEEDIE_REQUIRE_ADAPTER=1 cargo test "${onnx[@]}"
