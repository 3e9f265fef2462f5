#!/usr/bin/env bash
# Compiles every shader that tweedie composes with Microsoft's own compilers: FXC (shader model 5.1), which is part of Windows,
# and DXC (6.2), both under Wine and called as wgpu's DX12 backend calls them.
#
#   xtask/scripts/hlsl.sh [DUMP]         also those that a run left in TWEEDIE_DUMP_WGSL=DUMP
#
# Wine, a compiler for one C file and the two libraries (from the npm package webgpu) are unpacked into target/hlsl, about 1 GB;
# nothing is installed. Needs Debian's apt-get and dpkg-deb, and npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mkdir -p "${CARGO_TARGET_DIR:-target}/hlsl"
folder=$(cd "${CARGO_TARGET_DIR:-target}/hlsl" && pwd)
tools=$folder/tools

packages=(wine64 libwine libz-mingw-w64 libunwind8 libcapi20-3 libpcap0.8 libltdl7 libosmesa6
  gcc-mingw-w64-x86-64-win32 gcc-mingw-w64-x86-64-win32-runtime gcc-mingw-w64-base
  mingw-w64-common mingw-w64-x86-64-dev binutils-mingw-w64-x86-64)

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

unpack() {
  for needed in apt-get dpkg-deb npm; do
    if ! command -v $needed >/dev/null; then
      echo "error: Wine and the compilers are taken from Debian packages and from npm, which needs $needed" >&2
      exit 3
    fi
  done
  apt-cache show wine64 >/dev/null 2>&1 || as_root apt-get update -qq >&2
  rm -rf "$tools" "$folder/work"
  mkdir -p "$folder/work"
  # apt gives up its privileges for a download, and warns if the user that it becomes cannot enter our directory.
  (cd "$folder/work" && apt-get download -qq "${packages[@]}" 2> >(grep -v '^W: Download is performed unsandboxed' >&2))
  for deb in "$folder"/work/*.deb; do dpkg-deb -x "$deb" "$folder/work" && rm "$deb"; done
  npm install --silent --no-save --no-audit --no-fund --prefix "$folder/work/npm" webgpu@0.6.2 >&2
  mkdir "$folder/work/bin"
  cp "$folder"/work/npm/node_modules/webgpu/dist/win32-x64/{dxcompiler,d3dcompiler_47}.dll "$folder/work/bin/"
  rm -rf "$folder/work/npm"
  # The names under which Debian's own scripts would have left them.
  cp "$folder/work/usr/lib/wine/wineserver64" "$folder/work/usr/lib/wine/wineserver"
  cp "$folder/work/usr/x86_64-w64-mingw32/lib/zlib1.dll" "$folder/work/usr/lib/x86_64-linux-gnu/wine/x86_64-windows/"
  mv "$folder/work" "$tools" # last, so that its presence means that everything is there
}

[[ -d $tools ]] || unpack

libraries=$tools/usr/lib/x86_64-linux-gnu
mingw=$tools/usr/x86_64-w64-mingw32
gcc=$(dirname "$tools"/usr/lib/gcc/x86_64-w64-mingw32/*/cc1)
PATH=$tools/usr/bin:$PATH LD_LIBRARY_PATH=$libraries x86_64-w64-mingw32-gcc-win32 -O1 -Wall -Werror \
  -o "$tools/bin/hlsl.exe" xtask/scripts/hlsl.c -lversion -B"$gcc" -L"$gcc" -I"$mingw/include" -L"$mingw/lib"

wine() {
  env HOME="$folder/home" WINEPREFIX="$folder/prefix" WINEDEBUG=-all LD_LIBRARY_PATH="$libraries" \
    XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}" WINEDLLPATH="$libraries/wine" \
    WINELOADER="$tools/usr/lib/wine/wine64" WINESERVER="$tools/usr/lib/wine/wineserver64" \
    WINEDLLOVERRIDES="mscoree,mshtml=;d3dcompiler_47,dxcompiler=n" "$tools/usr/lib/wine/wine64" "$@"
}

if [[ ! -e $folder/prefix/drive_c/windows/system32/zlib1.dll ]]; then
  mkdir -p "$folder/home"
  wine wineboot -i >/dev/null 2>&1 || true # it complains that there is no screen
  cp "$mingw/lib/zlib1.dll" "$folder/prefix/drive_c/windows/system32/" # Debian's Wine wants it everywhere
fi
echo "tools: $(wine "$tools/bin/hlsl.exe" version | tr -d '\r'), $(wine --version | tr -d '\r')"

shaders=$folder/shaders
rm -rf "$shaders"
cargo build-workspace --quiet --example shaders
"${CARGO_TARGET_DIR:-target}/debug/examples/shaders" "$shaders" "$@"
cd "$shaders"

# Compiles a list with `fxc` or `dxc`, with a process for each core, each for a part of the list.
compile() {
  local compiler=$1 texts=$2 list=$3 part jobs=() code=0
  split -n "r/$(nproc)" "$list" "$compiler.part."
  for part in "$compiler".part.*; do
    wine "$tools/bin/hlsl.exe" "$compiler" "$texts" "$part" >"$part.log" 2>/dev/null &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || code=1; done
  cat "$compiler".part.*.log | tr -d '\r'
  rm "$compiler".part.*
  return $code
}

# Adds up the last lines of all processes: "compiled 12 of 12, slowest 830 NAME".
total() {
  awk '/^compiled/ { compiled += $2; all += $4; if ($6 >= slowest) slowest = $6 }
    END { printf "%d of %d (slowest %.1f s)", compiled, all, slowest / 1000 }' "$1"
}

# A compiler that accepts a broken shader proves nothing about the others.
first=$(basename -s .hlsl "$(find hlsl_5_1 -name '*.hlsl' | sort | sed -n 1p)")
mkdir broken
{ cat "hlsl_5_1/$first.hlsl"; echo 'float broken() { return nobody_knows_this; }'; } >"broken/$first.hlsl"
grep "^$first " shaders.txt >broken.txt
for compiler in fxc dxc; do
  said=$(compile $compiler broken broken.txt || true)
  if [[ $said != *"compiled 0 of 1,"* ]]; then
    echo "error: $compiler does not work, or accepts a broken shader"
    exit 1
  fi
done

# FXC is never given the shaders for devices with 64-bit integers.
while read -r name rest; do
  if [[ -e hlsl_5_1/$name.hlsl ]]; then echo "$name $rest"; fi
done <shaders.txt >fxc.txt
failed=0
compile fxc hlsl_5_1 fxc.txt >fxc.log || failed=1
compile dxc hlsl_6_2 shaders.txt >dxc.log || failed=1
grep -hv '^compiled' fxc.log dxc.log || true
echo "FXC compiled $(total fxc.log), DXC $(total dxc.log)"
exit $failed
