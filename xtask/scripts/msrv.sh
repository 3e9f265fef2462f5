#!/usr/bin/env bash
# Runs cargo check on the library with the oldest Rust that its manifest allows: without features, each alone, and all together:
#
#   xtask/scripts/msrv.sh
#
# rustup installs that compiler. Tests and applications may need a later one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=$(sed -n '/^\[package\]/,/^\[features\]/s/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
rustup toolchain install "$version" --profile minimal --no-self-update >&2
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/msrv
echo "tools: $(rustup run "$version" rustc --version)"
features=(--no-default-features --features=diffusers-config --features=run-files --all-features)
for feature in "${features[@]}"; do
  rustup run "$version" cargo check --quiet --locked -p tweedie --lib "$feature"
done
echo "the library with Rust $version, ${#features[@]} sets of features"
