#!/usr/bin/env bash
# Runs a command on SwiftShader, a second software Vulkan driver, which behaves differently from Mesa's:
#
#   xtask/scripts/swiftshader.sh cargo test -p tweedie
#
# The driver is unpacked, not installed, from Debian's package chromium-common into target/swiftshader.
set -euo pipefail

if (($# == 0)); then
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${CARGO_TARGET_DIR:-$root/target}/swiftshader
library=usr/lib/chromium/libvk_swiftshader.so
manifest=usr/lib/chromium/vk_swiftshader_icd.json

unpack() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "error: SwiftShader is taken from a Debian package, which needs apt-get and dpkg-deb" >&2
    exit 3
  fi
  apt-cache show chromium-common >/dev/null 2>&1 || as_root apt-get update -qq >&2
  local work
  work=$(mktemp -d "$folder/unpack.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # apt gives up its privileges for a download, and warns if the user that it becomes cannot enter our directory.
  (cd "$work" && apt-get download -qq chromium-common 2> >(grep -v '^W: Download is performed unsandboxed' >&2))
  dpkg-deb --fsys-tarfile "$work"/chromium-common_*.deb | tar -x -C "$work" "./$library" "./$manifest"
  mkdir -p "$folder/${library%/*}"
  mv "$work/$manifest" "$folder/$manifest"
  mv "$work/$library" "$folder/$library" # last, so that its presence means that everything is there
  rm -rf "$work"
  trap - EXIT
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[[ -e $folder/$library ]] || unpack

export VK_DRIVER_FILES=$folder/$manifest
export VK_ICD_FILENAMES=$VK_DRIVER_FILES # older loaders know this name only
export WGPU_BACKEND=vulkan
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
exec "$@"
