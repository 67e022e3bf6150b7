#!/usr/bin/env bash
# The speed tables, ours beside the peers, in one run. ONLY=direct|stack|front|tail|growth narrows them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_packages gcc libc6-dev python3 python3-venv python3-dev nginx-light wrk libev-dev
need_venv build/venv-bench "$(system_python)" flask uwsgi gunicorn granian fastwsgi bjoern setuptools
exec build/venv-bench/bin/python benches/bench.py ${ONLY:+--only "$ONLY"} ${ROUNDS:+--rounds "$ROUNDS"} ${SECONDS_EACH:+--seconds "$SECONDS_EACH"} ${FULL:+--full}
