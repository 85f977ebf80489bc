#!/bin/sh
# Fetches the real client SDKs into .interop/, one directory per kit, exactly as pinned here. What is there and
# unchanged stays; `.installed`, a copy of the pins, is written last, and the tests compare it.
set -eu
cd "$(dirname "$0")/../.."
pins=tests/interop

fresh() { cmp -s "$2" ".interop/$1/.installed"; }

without() { # TOOL PACKAGES: says so and succeeds where the tool is missing
    command -v "$1" >/dev/null && return 1
    echo "skipped: needs $1 (apt-get install $2)"
}

python_kit() { # NAME
    kit=$1
    if [ -x ".interop/$kit/bin/python" ] && fresh "$kit" "$pins/$kit/requirements.txt"; then return; fi
    python=${PYTHON:-python3}
    if [ -x .venv/bin/python ]; then python=.venv/bin/python; fi
    rm -rf ".interop/$kit"
    "$python" -m venv ".interop/$kit"
    pip() { ".interop/$kit/bin/pip" --disable-pip-version-check install --quiet --require-hashes "$@"; }
    # Some are source archives: what builds them is pinned too, so nothing comes in without its hash.
    pip -r requirements/build.txt
    pip --no-build-isolation --use-pep517 -r "$pins/$kit/requirements.txt"
    cp "$pins/$kit/requirements.txt" ".interop/$kit/.installed"
}

node_kit() {
    if without node "nodejs npm" || without npm "nodejs npm"; then return; fi
    if fresh node "$pins/node/package-lock.json"; then return; fi
    rm -rf .interop/node
    mkdir -p .interop/node
    cp "$pins/node/package.json" "$pins/node/package-lock.json" .interop/node
    (cd .interop/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$pins/node/package-lock.json" .interop/node/.installed
}

python_kit python
python_kit sdk
node_kit
