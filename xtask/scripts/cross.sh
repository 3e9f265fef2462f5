#!/usr/bin/env bash
# Runs cargo check for another platform:
#
#   xtask/scripts/cross.sh x86_64-pc-windows-gnu|aarch64-apple-darwin|wasm32-unknown-unknown
#
# Everything in the workspace is checked, with all features; for wasm32 the library alone. The target's standard library comes
# from rustup.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${1:-}
case $target in
x86_64-pc-windows-gnu | *-apple-darwin) what=(--workspace --all-targets) ;;
wasm32-unknown-unknown) what=(--package tweedie --lib) ;;
*)
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac

if [[ ! -d $(rustc --print target-libdir --target "$target") ]] && ! rustup target add "$target" >&2; then
  echo "error: no standard library for $target, and rustup cannot install it" >&2
  exit 3
fi

mkdir -p "${CARGO_TARGET_DIR:-target}/cross"
folder=$(cd "${CARGO_TARGET_DIR:-target}/cross" && pwd)
# A check needs no compiled C code (criterion has a little), so this compiler claims to be clang and writes empty files.
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
echo "tools: $(rustc --version | sed 's/ (.*//'), $target"

artifacts=$folder/$target.json
code=0
CARGO_TARGET_DIR=$folder/build cargo check --target "$target" "${what[@]}" --all-features \
  --message-format=json-render-diagnostics >"$artifacts" || code=$?
# Our own targets, and those of other packages: libraries, build scripts, macros.
built=$(grep '"reason":"compiler-artifact"' "$artifacts" || true)
own=$(grep -c "\"manifest_path\":\"$PWD/" <<<"$built" || true)
others=$(grep -c '"manifest_path":' <<<"$built" || true)
targets="$own targets"
if ((own == 1)); then targets="1 target"; fi
if ((code == 0)); then
  echo "$targets checked, after $((others - own)) that they depend on"
else
  echo "$targets checked before one failed"
fi
exit $code
