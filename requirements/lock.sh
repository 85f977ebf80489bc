#!/bin/sh
# Write the requirement files from pyproject.toml: names, versions and hashes for every Python from 3.11. The files name
# no index, so they work with any index that pip is configured for.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate "$@"; }
lock pyproject.toml -o requirements/runtime.txt
lock pyproject.toml --extra otel -c requirements/runtime.txt -o requirements/otel.txt
lock pyproject.toml --extra test -c requirements/runtime.txt -o requirements/test.txt
lock requirements/build.in -o requirements/build.txt
lock requirements/sbom.in -o requirements/sbom.txt
lock tests/deploy/tools/checkov.in -o tests/deploy/tools/checkov.txt
