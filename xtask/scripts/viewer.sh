#!/usr/bin/env bash
# Tests the viewer: its buffers against the references, and its window on an X server of its own (Xvfb), with real mouse and
# key events (xdotool), on whichever Vulkan driver there is. Exits 0 if every test passed, 1 if something failed, 3 if what it
# needs is missing and cannot be installed.
#
#   xtask/scripts/viewer.sh [--screenshots DIR] [FILTER]
#
# Installs what is missing through apt-get. The screenshots that the tests leave in the target directory are copied to DIR.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

screenshots=
if [[ ${1-} == --screenshots ]]; then
  screenshots=${2:?a folder}
  shift 2
fi

# The libraries that the X11 part of winit loads at run time, and the packages of these and of what the tests use.
libraries=(libX11.so.6 libX11-xcb.so.1 libXcursor.so.1 libXi.so.6 libxkbcommon-x11.so.0)
packages=(xvfb xdotool libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 libvulkan1 mesa-vulkan-drivers)

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

is_ready() {
  local found
  command -v Xvfb >/dev/null && command -v xdotool >/dev/null || return 1
  found=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
  for library in "${libraries[@]}"; do
    [[ $found == *"$library"* ]] || return 1
  done
}

if ! is_ready; then
  if ! command -v apt-get >/dev/null; then
    echo "error: this needs Xvfb, xdotool and X11's libraries (Fedora: xorg-x11-server-Xvfb xdotool libX11 libXcursor)" >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
fi

export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}
export TWEEDIE_REQUIRE_WINDOW=1
code=0
cargo test --package tweedie-viewer -- "$@" || code=1
if [[ -n $screenshots ]]; then
  mkdir -p "$screenshots"
  cp "${CARGO_TARGET_DIR:-target}"/tmp/viewer/*.png "$screenshots"
fi
if ((code == 0)); then echo "viewer: every test passed"; else echo "viewer: a test FAILED"; fi
exit $code
