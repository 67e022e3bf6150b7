#!/usr/bin/env bash
# Builds the executable and the Python extension and lays them out under build/.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null 2>&1 && [ -f "$HOME/.cargo/env" ]; then
    . "$HOME/.cargo/env"
fi
command -v cargo >/dev/null 2>&1 || { echo "build: \`cargo\` is missing: install Rust (rustup.rs)" >&2; exit 1; }

cargo build --release --locked -p propylon -p pyhost

target=${CARGO_TARGET_DIR:-target}/release
mkdir -p build/bin build/lib/propylon
# Replaced by rename, so that a running executable is never written to.
install -m 755 "$target/propylon" build/bin/.propylon.new
mv -f build/bin/.propylon.new build/bin/propylon
install -m 755 "$target/libpyhost.so" build/lib/propylon/.pyhost.new
mv -f build/lib/propylon/.pyhost.new build/lib/propylon/_pyhost.abi3.so
ln -sfn propylon build/bin/uwsgi
ln -sfn propylon build/bin/nginx
