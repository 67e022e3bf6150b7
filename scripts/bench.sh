#!/usr/bin/env bash
# The speed tables, ours beside the peers, in one run. ONLY=direct|stack|front|tail|growth|instructions
# narrows them, ROUNDS and SECONDS_EACH make them longer, FULL=1 lets growth go to its largest sizes,
# PUBLISH=1 writes what was found into docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_packages gcc libc6-dev python3 python3-venv python3-dev nginx-light wrk
# bjoern is compiled against libev, `instructions` runs under valgrind; nothing else needs them.
need_packages libev-dev valgrind || echo "bench: going on without them" >&2
need_venv build/venv-bench "$(system_python)" flask setuptools
want_peers build/venv-bench uwsgi gunicorn granian fastwsgi bjoern
programs=()
case "${ONLY:-instructions}" in instructions) programs+=(-p instructions) ;; esac
case "${ONLY:-front}" in front) programs+=(-p floor) ;; esac
if [ ${#programs[@]} -gt 0 ]; then
    need_cargo
    cargo build --release --locked --quiet "${programs[@]}"
fi
exec build/venv-bench/bin/python benches/bench.py ${ONLY:+--only "$ONLY"} ${ROUNDS:+--rounds "$ROUNDS"} ${SECONDS_EACH:+--seconds "$SECONDS_EACH"} ${FULL:+--full} ${PUBLISH:+--publish}
