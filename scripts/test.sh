#!/usr/bin/env bash
# Everything CI checks, in the order of how fast it fails: format, lints, the house's own rules,
# unit and golden tests with the fuzz smoke, then interop with real nginx and real uWSGI.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_packages gcc libc6-dev python3 python3-venv python3-dev nginx-light wrk curl procps util-linux systemd
need_cargo

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --all --check
step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
step "the house"
cargo xtask tidy
step "unit, golden and fuzz smoke tests"
cargo test --workspace --locked --quiet --no-fail-fast
step "documentation"
RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --document-private-items --locked --quiet
step "release build"
scripts/build.sh

step "interop: virtualenvs"
python=$(system_python)
need_venv build/venv "$python" flask django uwsgi pytest maturin
export PROPYLON_TEST_VENVS=""
while read -r other; do
    version=$("$other" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    need_venv "build/venv-$version" "$other" flask django
    PROPYLON_TEST_VENVS="$PROPYLON_TEST_VENVS $root/build/venv-$version"
done < <(find_pythons)

step "interop: the guides, the real peers, reloads under load"
# PYTEST is split into words on purpose.
# shellcheck disable=SC2086
build/venv/bin/python -m pytest tests ${PYTEST:-}
