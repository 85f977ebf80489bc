#!/bin/sh
# Updates the locks after a change of requirements.in, package.json, go.mod or pom.xml (needs uv, npm, go and mvn).
# The locks have names, versions and hashes but no index, so that they install from the index that the tools use.
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
# Remove the funding links, so that the lock contains no URL.
node -e 'const fs = require("node:fs"), lock = JSON.parse(fs.readFileSync("package-lock.json"));
for (const each of Object.values(lock.packages)) delete each.funding;
fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n")'
