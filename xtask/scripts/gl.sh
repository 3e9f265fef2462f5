#!/usr/bin/env bash
# Runs a command on wgpu's OpenGL backend with Mesa's software driver (llvmpipe):
#
#   xtask/scripts/gl.sh cargo test -p tweedie
#
# Installs the driver through apt-get if it is missing.
set -euo pipefail

if (($# == 0)); then
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

packages=(libegl1 libegl-mesa0 libgl1-mesa-dri)

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

has_driver() {
  local libraries
  libraries=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
  [[ $libraries == *libEGL.so.1* && $libraries == *libEGL_mesa.so.0* ]]
}

if ! has_driver; then
  if ! command -v apt-get >/dev/null; then
    echo "error: no EGL driver found; install Mesa's (Fedora: mesa-libEGL mesa-dri-drivers, Arch: mesa)" >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
fi

export WGPU_BACKEND=gl
export LIBGL_ALWAYS_SOFTWARE=1 GALLIUM_DRIVER=llvmpipe
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
exec "$@"
