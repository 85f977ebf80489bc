#!/bin/sh
# Pins the clients anew after a change of requirements.in or package.json (needs uv and npm): names, versions and
# hashes, and no index's address, so that they install from whatever index pip and npm are set up for.
set -eu
cd "$(dirname "$0")"
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
    python/requirements.in -o python/requirements.txt
uv pip compile --quiet --universal --python-version 3.11 --prerelease allow --generate-hashes --no-emit-index-url \
    --no-header --no-annotate sdk/requirements.in -o sdk/requirements.txt
cd node
npm install --package-lock-only --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
# Where to give money is no business of a lock: what is left has no address in it.
node -e 'const fs = require("node:fs"), lock = JSON.parse(fs.readFileSync("package-lock.json"));
for (const each of Object.values(lock.packages)) delete each.funding;
fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n")'
