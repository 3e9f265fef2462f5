#!/usr/bin/env bash
# Runs a command with a Rust compiler that can build for WebAssembly, on a machine where rustup cannot add that target:
#
#   scripts/wasm.sh cargo web --build
#
# The compiler and the sources of its standard library are unpacked, not installed, from Debian's packages rustc-web and
# rust-web-src into target/debian. Everywhere else `rustup target add wasm32-unknown-unknown` is all that is needed, and
# `cargo web` does that itself.
set -euo pipefail

if (($# == 0)); then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$root/target/debian

unpack() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "error: this compiler is taken from Debian packages, which needs apt-get and dpkg-deb" >&2
    exit 3
  fi
  apt-cache show rustc-web >/dev/null 2>&1 || as_root apt-get update -qq >&2
  local work standard llvm
  mkdir -p "$folder"
  work=$(mktemp -d "$folder/unpack.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # The standard library of this machine, for build scripts and macros, and the LLVM that the compiler is linked to.
  standard=$(apt-cache depends libstd-rust-web-dev | grep -oE 'libstd-rust-web-[0-9.]+$' | head -n 1)
  llvm=$(apt-cache depends "$standard" | grep -oE 'libllvm[0-9]+$' | head -n 1)
  # apt drops its rights for a download, and says so where that user cannot enter our directory.
  (cd "$work" && apt-get download -qq rustc-web rust-web-src libstd-rust-web-dev "$standard" "$llvm" \
    2> >(grep -v '^W: Download is performed unsandboxed' >&2))
  for package in "$work"/*.deb; do dpkg-deb --extract "$package" "$work/tree"; done
  mv "$work/tree/usr" "$folder/usr" # last: its presence says that all is there
  rm -rf "$work"
  trap - EXIT
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

[[ -e $folder/usr ]] || unpack

# Debian's compiler has a linker for WebAssembly in a package of its own; rustup's toolchain brings the same one.
linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
libraries=$(dirname "$(find "$folder/usr/lib" -name 'libLLVM*.so*' -print -quit)")
export LD_LIBRARY_PATH=$libraries:$folder/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export RUSTC=$folder/usr/bin/rustc RUSTDOC=$folder/usr/bin/rustdoc
# It has no compiled standard library for the target, so cargo compiles that too, which it calls unstable.
export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
exec "$@"
