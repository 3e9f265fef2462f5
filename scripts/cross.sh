#!/usr/bin/env bash
# cargo check for another platform:
#
#   scripts/cross.sh x86_64-pc-windows-gnu|aarch64-apple-darwin|wasm32-unknown-unknown
#
# Everything in the workspace is checked, with all features; for wasm32 the library alone. Where rustup has no standard library
# for the target, it is built from its source with a compiler that is unpacked from Debian packages into target/cross.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${1:-}
case $target in
x86_64-pc-windows-gnu | *-apple-darwin) what=(--workspace --all-targets) ;;
wasm32-unknown-unknown) what=(--package tweedie --lib) ;;
*)
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac

mkdir -p "${CARGO_TARGET_DIR:-target}/cross"
folder=$(cd "${CARGO_TARGET_DIR:-target}/cross" && pwd)
tools=$folder/tools
export CARGO_TARGET_DIR=$folder/build

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

has_standard_library() {
  [[ -d $(rustc --print target-libdir --target "$target") ]]
}

# Debian's newest compiler, with the source of its standard library, and binutils for import libraries of Windows.
unpack() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "error: run \`rustup target add $target\`; without rustup a compiler is taken from Debian packages" >&2
    exit 3
  fi
  apt-cache show rustc-web >/dev/null 2>&1 || as_root apt-get update -qq >&2
  local library llvm
  library=$(apt-cache depends libstd-rust-web-dev | grep -oE 'libstd-rust-web-[0-9.]+' | head -n 1)
  llvm=$(apt-cache depends "$library" rustc-web | grep -oE 'libllvm[0-9]+' | head -n 1)
  rm -rf "$tools" "$folder/work"
  mkdir -p "$folder/work"
  (cd "$folder/work" && apt-get download -qq rustc-web "$library" libstd-rust-web-dev rust-web-src "$llvm" \
    binutils-mingw-w64-x86-64 2> >(grep -v '^W: Download is performed unsandboxed' >&2))
  for deb in "$folder"/work/*.deb; do dpkg-deb -x "$deb" "$folder/work" && rm "$deb"; done
  # The host's own binutils are the same package's neighbours, and stay the host's.
  mkdir "$folder/work/mingw"
  ln -s ../usr/bin/x86_64-w64-mingw32-{as,dlltool} "$folder/work/mingw/"
  mv "$folder/work" "$tools" # last: its presence says that all is there
}

build_std=()
if ! has_standard_library && ! rustup target add "$target" >/dev/null 2>&1; then
  [[ -d $tools ]] || unpack
  LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu:$(echo "$tools"/usr/lib/llvm-*/lib)
  export LD_LIBRARY_PATH PATH=$tools/mingw:$PATH
  export RUSTC=$tools/usr/bin/rustc RUSTDOC=$tools/usr/bin/rustdoc RUSTC_BOOTSTRAP=1
  build_std=(-Zbuild-std=std,panic_abort)
fi

# What is only checked needs no code in C (criterion brings a little along): one that says it is clang and leaves empty files.
cat >"$folder/cc" <<'END'
#!/bin/sh
case $1 in
-E) echo '"clang"' ;;
-\?) exit 1 ;;
esac
while [ $# -gt 0 ]; do
  [ "$1" = -o ] && : >"$2"
  shift
done
END
chmod +x "$folder/cc"
export TARGET_CC=$folder/cc TARGET_AR=ar SDKROOT=/
echo "tools: $("${RUSTC:-rustc}" --version | sed 's/ (.*//'), $target"

artifacts=$folder/$target.json
code=0
cargo check "${build_std[@]}" --target "$target" "${what[@]}" --all-features \
  --message-format=json-render-diagnostics >"$artifacts" || code=$?
own=$(grep '"reason":"compiler-artifact"' "$artifacts" | grep -c "\"manifest_path\":\"$PWD/" || true)
all=$(grep -c '"reason":"compiler-artifact"' "$artifacts" || true)
if ((code == 0)); then echo "$own targets checked, after $((all - own)) that they depend on"; else
  echo "$own targets checked before one failed"
fi
exit $code
