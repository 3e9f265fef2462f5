#!/usr/bin/env bash
# Counts the instructions that Mesa's RADV compiles the benchmark's shaders to for AMD cards, and compares them with the budgets of
# benches/isa_budgets.json. No card is needed.
#
#   xtask/scripts/isa.sh [--write]       with --write the counts become the budgets
#
# The counts are left in target/isa, next to the assembly. Installs gcc, Vulkan's headers and Mesa's drivers through
# apt-get if they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mkdir -p "${CARGO_TARGET_DIR:-target}/isa"
folder=$(cd "${CARGO_TARGET_DIR:-target}/isa" && pwd)

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

driver() {
  find /usr/share/vulkan/icd.d -name 'radeon_icd*.json' 2>/dev/null | head -n 1
}

if [[ -z $(driver) || ! -e /usr/include/vulkan/vulkan.h ]] || ! command -v gcc >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "error: needs gcc, Vulkan's headers (libvulkan-dev) and Mesa's drivers (mesa-vulkan-drivers)" >&2
    exit 3
  fi
  apt-cache show libvulkan-dev >/dev/null 2>&1 || as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    gcc libc6-dev libvulkan-dev mesa-vulkan-drivers >&2
fi
export VK_ICD_FILENAMES VK_DRIVER_FILES MESA_SHADER_CACHE_DISABLE=true RADV_DEBUG=nocache
VK_ICD_FILENAMES=$(driver)
VK_DRIVER_FILES=$VK_ICD_FILENAMES

gcc -std=c11 -O1 -Wall -Wextra -Wno-missing-field-initializers -o "$folder/isa" xtask/scripts/isa.c -lvulkan
rm -rf "$folder/assembly" "$folder/dump"
mkdir -p "$folder/assembly"
cargo build-workspace --quiet --example isa
TWEEDIE_DUMP_WGSL=$folder/dump "${CARGO_TARGET_DIR:-target}/debug/examples/isa" "$folder" "$@"
