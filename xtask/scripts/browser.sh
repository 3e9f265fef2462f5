#!/usr/bin/env bash
# Builds the page, and tests it in a headless Chromium on SwiftShader, its software GPU:
#
#   xtask/scripts/browser.sh [FILTER]    with a filter only the tests whose names contain it
#
# Installs Chromium through apt-get where none is found; CHROMIUM names another one. Screenshots go to target/shots.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

has_browser() {
  [[ -n ${CHROMIUM:-} ]] || command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null
}

if ! has_browser; then
  if ! command -v apt-get >/dev/null; then
    echo "error: no Chromium found; install one, or name it in CHROMIUM" >&2
    exit 3
  fi
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >&2
fi

cargo web --build
browser=${CHROMIUM:-$(command -v chromium chromium-browser google-chrome google-chrome-stable | head -n 1)}
echo "tools: $("$browser" --version)"
export TWEEDIE_BROWSER=1 TWEEDIE_SHOTS=$PWD/target/shots
code=0
cargo test --package tweedie-web-host --test browser -- --nocapture "$@" || code=1
if ((code == 0)); then echo "browser: every test passed"; else echo "browser: a test FAILED"; fi
exit $code
