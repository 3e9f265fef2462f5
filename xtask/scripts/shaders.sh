#!/usr/bin/env bash
# Writes every shader that tweedie composes in the languages of Vulkan, Metal and D3D12, as wgpu does; the Khronos validator
# (spirv-val) must accept all of the SPIR-V.
#
#   xtask/scripts/shaders.sh [DUMP]      also those that a run left in TWEEDIE_DUMP_WGSL=DUMP
#
# The files are left in target/shaders. Installs spirv-tools through apt-get if it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=${CARGO_TARGET_DIR:-target}/shaders

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

if ! command -v spirv-val >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "error: spirv-val is missing; install SPIR-V Tools (spirv-tools)" >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends spirv-tools >&2
fi
echo "tools: spirv-val $(spirv-val --version | sed -n '1s/^SPIRV-Tools //p')"

rm -rf "$folder"
cargo build-workspace --quiet --example shaders
"${CARGO_TARGET_DIR:-target}/debug/examples/shaders" "$folder" "$@"

# Prints the names of the modules that are rejected. The oldest version is validated for Vulkan 1.0, the newest for 1.3.
rejected() {
  local version=$1 environment=$2
  find "$folder/$version" -name '*.spv' -print0 |
    xargs -0 -P "$(nproc)" -I{} sh -c 'spirv-val --target-env "$0" "$1" >&2 || echo "$1"' "$environment" {}
}

# A validator that accepts a broken module proves nothing about the others.
first=$(find "$folder/spirv_1_0" -name '*.spv' | sort | sed -n 1p)
mkdir "$folder/broken"
head -c -4 "$first" >"$folder/broken/cut.spv"
if [[ -z $(rejected broken vulkan1.0 2>/dev/null) ]]; then
  echo "error: spirv-val accepts a module that was cut short"
  exit 1
fi
failed=$(rejected spirv_1_0 vulkan1.0; rejected spirv_1_6 vulkan1.3)
if [[ -n $failed ]]; then
  echo "$failed"
  echo "$(wc -l <<<"$failed") SPIR-V modules are invalid"
  exit 1
fi
count() { find "$folder/$1" -type f | wc -l; }
echo "$(count wgsl) shaders: $(count spirv_1_0) SPIR-V 1.0 and $(count spirv_1_6) SPIR-V 1.6 valid," \
  "$(count metal_2_0) MSL 2.0, $(count hlsl_5_1) HLSL 5.1 and $(count hlsl_6_2) HLSL 6.2 written"
