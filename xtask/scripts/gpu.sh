#!/usr/bin/env bash
# Measures a graphics card in less than eight minutes, on a machine with nothing installed but its driver:
#
#   xtask/scripts/gpu.sh pack            where the workspace compiles: puts everything that is needed into target/gpu
#   ./gpu.sh [ADAPTER [OUT]]             in a copy of target/gpu, on the machine with the card: measures the adapter with this part
#                                        in its name [default: the best]; results go to the folder OUT [default: gpu-results]
#   xtask/scripts/gpu.sh [ADAPTER [OUT]] both, for a machine that has a card and compiles
#   TWEEDIE_QUICK=1 before either        a few rows of each, to try it out on a software driver
#
# Runs verify, the benchmark in three storages with timestamps and both copies, the host's times, sampling loops from end to end,
# and PyTorch if python3 has it. OUT then has a file for each, and one with adapter, driver, date and exit codes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}

usage() {
  sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

# Packs the tool, the Vulkan loader, which a bare driver does not include, and the script for PyTorch.
pack() {
  local root folder loader
  root=$(cd "$here/../.." && pwd)
  folder=${CARGO_TARGET_DIR:-$root/target}/gpu
  mkdir -p "$folder"
  if [[ -n ${TWEEDIE_TOOL:-} ]]; then # a compiled tool
    cp "$TWEEDIE_TOOL" "$folder/tweedie"
  else
    (cd "$root" && cargo build --release --package tweedie-cli)
    cp "${CARGO_TARGET_DIR:-$root/target}/release/tweedie" "$folder/tweedie"
  fi
  strip "$folder/tweedie" 2>/dev/null || true # smaller to copy
  loader=$(ldconfig -p | sed -n 's/.*libvulkan\.so\.1 .*x86-64.*=> //p' | head -n 1)
  [[ -z $loader ]] || cp -L "$loader" "$folder/libvulkan.so.1"
  cp "$root/benches/peers/torch_bench.py" "${BASH_SOURCE[0]}" "$folder/"
  git -C "$root" rev-parse --short=10 HEAD >"$folder/commit" 2>/dev/null || echo unknown >"$folder/commit"
  echo "packed: $folder, $(du -sh "$folder" | cut -f 1)"
}

# Prints the first file with one of these names in the folders of driver libraries.
library() {
  local name found
  for name in "$@"; do
    found=$(ldconfig -p 2>/dev/null | sed -n "s/.*$name .*x86-64.*=> //p" | head -n 1)
    [[ -n $found ]] || found=$(find /usr/lib /usr/lib64 /usr/local /opt -name "$name" -print -quit 2>/dev/null || true)
    if [[ -n $found ]]; then
      echo "$found"
      return
    fi
  done
}

# Writes the file that names NVIDIA's library to the Vulkan loader: containers often have the library without it.
find_driver() {
  local driver
  [[ -z ${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-} ]] || return 0
  if compgen -G '/usr/share/vulkan/icd.d/nvidia*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/nvidia*.json' >/dev/null; then
    return 0
  fi
  driver=$(library libGLX_nvidia.so.0 libEGL_nvidia.so.0) # the second where there is no X at all
  if [[ -z $driver ]]; then
    if [[ -e /dev/nvidiactl ]]; then
      echo "NVIDIA's driver is here without libGLX_nvidia.so.0: give the container the driver capability \`graphics\`" >&2
    fi
    return 0
  fi
  printf '{"file_format_version": "1.0.1", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' "$driver" >"$out/nvidia_icd.json"
  export VK_DRIVER_FILES=$out/nvidia_icd.json
  export VK_ICD_FILENAMES=$VK_DRIVER_FILES # older loaders know this name only
  echo "Vulkan driver: $driver"
}

text() { # a string as JSON
  local word=${1//\\/\\\\}
  printf '"%s"' "${word//\"/\\\"}"
}

# step NAME SECONDS COMMAND...: runs the command for at most so long. Its output goes to NAME.jsonl, its errors to NAME.log.
step() {
  local name=$1 limit=$2 code=0 begun=$SECONDS
  shift 2
  timeout --signal=INT --kill-after=5 "$limit" "$@" >"$out/$name.jsonl" 2>"$out/$name.log" || code=$?
  [[ -s $out/$name.jsonl ]] || rm -f "$out/$name.jsonl"
  [[ -s $out/$name.log ]] || rm -f "$out/$name.log"
  steps+=("{\"step\": $(text "$name"), \"code\": $code, \"seconds\": $((SECONDS - begun)), \"limit\": $limit}")
  echo "$name: exit code $code in $((SECONDS - begun)) s"
  # A benchmark that its limit has ended (INT) keeps the rows that it has. A check or a loop that was cut off proves nothing.
  if ((code != 0)) && ! [[ $code == 124 && $name =~ ^(bench|host|torch)$ ]]; then
    failed+=("$name")
    tail -n 3 "$out/$name.log" 2>/dev/null || true
  fi
}

measure() {
  local adapter=${1:-} tool=$here/tweedie device which=()
  out=$(mkdir -p "${2:-gpu-results}" && cd "${2:-gpu-results}" && pwd)
  if [[ -e $here/libvulkan.so.1 && $(ldconfig -p 2>/dev/null) != *'libvulkan.so.1 '* ]]; then
    export LD_LIBRARY_PATH=$here:${LD_LIBRARY_PATH:-}
  fi
  export WGPU_BACKEND=${WGPU_BACKEND:-vulkan}
  find_driver
  device=$("$tool" devices --json | { if [[ -n $adapter ]]; then grep -i -F -- "$adapter"; else cat; fi; } | head -n 1) || true
  if [[ -z $device ]]; then
    echo "error: no Vulkan adapter${adapter:+ with \`$adapter\` in its name}" >&2
    exit 3
  fi
  [[ -z $adapter ]] || which=(--adapter "$adapter")
  local field
  field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" <<<"$device"; }
  echo "adapter: $(field name) ($(field backend), $(field driver) $(field driver_info))"

  steps=() failed=()
  local few=(--storage f32,f16,bf16) loops=(--count 64) torch=null
  if [[ -n ${TWEEDIE_QUICK:-} ]]; then
    few+=(--workload latent_sd15 --op "noise,loss_grad_v" --runs 3)
    loops=(--count 4)
  fi
  step verify 120 "$tool" verify "${which[@]}" ${TWEEDIE_QUICK:+--storage f32} --json
  # The results name the adapter once, so a thousand lines need not.
  [[ ! -e $out/verify.jsonl ]] || sed -i 's/"adapter":"[^"]*",//' "$out/verify.jsonl"
  step bench 150 "$tool" bench "${which[@]}" "${few[@]}" --json -
  step host 40 "$tool" bench "${which[@]}" --host --json -
  step loops 50 "$tool" sample "${which[@]}" --sampler ddim,ddpm,dpm++,euler --steps 50 "${loops[@]}" --out "$out/pictures" --json
  rm -rf "$out/pictures"
  if python3 -c 'import torch' 2>/dev/null; then
    torch=$(text "$(python3 -c 'import torch; print(torch.__version__)')")
    local cuda=cpu
    ! python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || cuda=cuda
    step torch 100 python3 "$here/torch_bench.py" --device "$cuda" --compile --dtypes f32,f16 ${TWEEDIE_QUICK:+--workloads latent_sd15}
  else
    echo "torch: skipped, python3 does not have it"
  fi
  {
    printf '{\n  "date": "%s",\n  "commit": %s,\n  "device": %s,\n  "torch": %s,\n  "steps": [\n    ' \
      "$(date -u +%Y-%m-%d)" "$(text "$(cat "$here/commit")")" "$device" "$torch"
    local first=1 line
    for line in "${steps[@]}"; do
      ((first)) || printf ',\n    '
      printf '%s' "$line"
      first=0
    done
    printf '\n  ]\n}\n'
  } >"$out/gpu.json"
  echo "gpu: ${#steps[@]} steps, ${#failed[@]} failed${failed:+: ${failed[*]}}, $SECONDS s, $(du -sk "$out" | cut -f 1) KiB in $out"
  ((${#failed[@]} == 0))
}

case ${1:-} in
  -h | --help) usage ;;
  pack) (($# == 1)) || usage && pack ;;
  *)
    (($# <= 2)) || usage
    if [[ ! -x $here/tweedie ]]; then
      pack
      exec "${CARGO_TARGET_DIR:-$here/../../target}/gpu/gpu.sh" "$@"
    fi
    measure "$@"
    ;;
esac
