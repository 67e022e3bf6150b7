#!/usr/bin/env bash
# Serves the guides' Flask app behind the front until Ctrl-C, from build/demo.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

need_packages python3 python3-venv
demo=$root/build/demo
mkdir -p "$demo"
need_venv "$demo/myprojectenv" "$(system_python)" flask
cp examples/flask/* "$demo/"

port=${PORT:-8080}
sed "s/LISTEN_ADDRESS/127.0.0.1:$port/; s|DEMO_DIRECTORY|$demo|" examples/flask/site.conf >"$demo/site.conf"
cd "$demo"
echo "http://127.0.0.1:$port/"
exec "$root/build/bin/propylon" serve --ini myproject.ini --site site.conf
