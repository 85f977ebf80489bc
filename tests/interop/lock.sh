#!/bin/sh
# Pins the clients anew after a change of requirements.in, package.json, go.mod or pom.xml (needs uv, npm, go and mvn):
# names, versions and hashes, and no index's address, so that they install from whatever index the tools are set up for.
set -eu
cd "$(dirname "$0")"
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
    python/requirements.in -o python/requirements.txt
uv pip compile --quiet --universal --python-version 3.11 --prerelease allow --generate-hashes --no-emit-index-url \
    --no-header --no-annotate sdk/requirements.in -o sdk/requirements.txt
(cd go && go mod tidy)
jars=$(mktemp -d)
mvn --batch-mode --quiet --strict-checksums -f java/pom.xml \
    org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies -DoutputDirectory="$jars"
(cd "$jars" && sha256sum -- *.jar) >java/jars.sha256
rm -r "$jars"
cd node
npm install --package-lock-only --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
# Where to give money is no business of a lock: what is left has no address in it.
node -e 'const fs = require("node:fs"), lock = JSON.parse(fs.readFileSync("package-lock.json"));
for (const each of Object.values(lock.packages)) delete each.funding;
fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n")'
