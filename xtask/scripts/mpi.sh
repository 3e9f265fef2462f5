#!/usr/bin/env bash
# Data-parallel training over MPI: the tests of integrations/mpi, which run 1, 2 and 4 processes on this machine, kill some of them
# and continue from their checkpoints.
#
#   xtask/scripts/mpi.sh
#
# Installs Open MPI, clang (for the bindings of the crate mpi) and Mesa's Vulkan driver through apt-get if they are missing.
# Exits 3 if it cannot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if (($# > 0)); then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
mpi=(--manifest-path integrations/mpi/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}/mpi")

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

packages() {
  if ! command -v apt-get >/dev/null; then
    echo "error: $1 is missing; install Open MPI with its headers, libclang and a Vulkan driver by hand" >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${@:2}" >&2
}

if ! command -v mpirun >/dev/null || ! command -v mpicc >/dev/null; then packages "Open MPI" openmpi-bin libopenmpi-dev; fi
# The bindings need libclang and the headers that come with clang.
if ! command -v clang >/dev/null; then packages clang clang libclang-dev; fi

cargo test --quiet "${mpi[@]}" --no-run
# If no adapter is found, the tests fail because one is required.
if ! TWEEDIE_REQUIRE_ADAPTER=1 cargo test --quiet "${mpi[@]}" --test main -- --list >/dev/null 2>&1; then
  packages "a GPU driver" libvulkan1 mesa-vulkan-drivers
fi
TWEEDIE_REQUIRE_ADAPTER=1 cargo test "${mpi[@]}"
