# Shared by the scripts: where things are, and how a missing one is installed or named.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# need_packages PACKAGE... : installs Debian packages that are missing, or names them in one line.
need_packages() {
    local missing=()
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "missing system packages: ${missing[*]} (apt-get install ${missing[*]})" >&2
        return 1
    fi
    echo "installing ${missing[*]}"
    # The web server must not start by itself: tests start their own, on free ports.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made_policy=yes
    fi
    local status=0
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null || status=$?
    [ -n "$made_policy" ] && rm -f "$policy"
    return "$status"
}

# need_cargo : puts rustup's cargo on the PATH.
need_cargo() {
    if ! command -v cargo >/dev/null 2>&1 && [ -f "$HOME/.cargo/env" ]; then
        . "$HOME/.cargo/env"
    fi
    command -v cargo >/dev/null 2>&1 || { echo "\`cargo\` is missing: install Rust (rustup.rs)" >&2; return 1; }
}

# need_venv DIRECTORY PYTHON PACKAGE... : a virtualenv with these packages; made once.
need_venv() {
    local directory=$1 python=$2
    shift 2
    local stamp="$directory/.installed" wanted="$*"
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    "$python" -m venv "$directory"
    "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    printf '%s\n' "$wanted" >"$stamp"
}

# want_peers DIRECTORY PACKAGE... : adds to a virtualenv what can be installed; one that cannot is
# said, tried again the next time, and has no row in the tables.
want_peers() {
    local directory=$1 peer
    shift
    for peer in "$@"; do
        "$directory/bin/python" -c 'import importlib.metadata, sys; importlib.metadata.version(sys.argv[1])' "$peer" 2>/dev/null && continue
        "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$peer" || echo "bench: \`$peer\` cannot be installed" >&2
    done
}

# system_python : the distribution's Python, which every account can run, else the one on the PATH.
system_python() {
    if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else command -v python3; fi
}

# find_pythons : every CPython 3.9 to 3.13 on this machine, one executable a line, one per version.
find_pythons() {
    local seen=" " candidate version
    for candidate in python3 python3.9 python3.10 python3.11 python3.12 python3.13 "$HOME"/.pyenv/versions/3.*/bin/python3; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        version=$("$candidate" -c 'import sys, venv, ensurepip; print("%s%d.%d" % ("" if sys.implementation.name == "cpython" else "x", *sys.version_info[:2]))' 2>/dev/null) || continue
        case "$version" in 3.9 | 3.1[0-3]) ;; *) continue ;; esac
        case "$seen" in *" $version "*) continue ;; esac
        seen="$seen$version "
        command -v "$candidate"
    done
}
