#!/bin/sh
# Write the software bill of materials of the run-time dependencies: `make sbom`. The format is CycloneDX 1.6 in JSON.
# It lists each pinned package with version, licence and dependencies. The same pins and Python give the same bytes.
#
#   sh deploy/sbom.sh FILE
set -eu
cd "$(dirname "$0")/.."
out=${1:-sbom.json}
venv=${VENV:-.venv}
python=$venv/bin/python

# This venv contains the run-time requirements and nothing else, not even pip, as the image does.
rm -rf "$venv/shipped"
"$python" -m venv --without-pip "$venv/shipped"
"$venv/bin/pip" --python "$venv/shipped/bin/python" install --quiet --require-hashes -r requirements/runtime.txt
if [ ! -x "$venv/sbom/bin/cyclonedx-py" ]; then
    "$python" -m venv "$venv/sbom"
    "$venv/sbom/bin/pip" install --quiet --require-hashes -r requirements/sbom.txt
fi
"$venv/sbom/bin/cyclonedx-py" environment "$venv/shipped/bin/python" --pyproject pyproject.toml \
    --output-reproducible --spec-version 1.6 --validate -o "$out.new"

# The tool does not support the dynamic version of this project, so it is set here. An incomplete list is an error.
"$python" - "$out.new" <<'PYTHON'
import importlib.metadata
import json
import re
import sys

path = sys.argv[1]
with open(path) as file:
    bill = json.load(file)
bill["metadata"]["component"]["version"] = importlib.metadata.version("idaas-credential-sidecar")
canonical = lambda name: re.sub(r"[-_.]+", "-", name).lower()
found = {canonical(item["name"]): item for item in bill["components"]}
with open("requirements/runtime.txt") as file:
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^ ;]+)", file.read(), re.MULTILINE))
if wrong := sorted(name for name, version in pins.items() if found.get(canonical(name), {}).get("version") != version):
    sys.exit(f"sbom: packages missing, or listed with another version: {', '.join(wrong)}")
if len(pins) != len(found):
    sys.exit(f"sbom: {len(found)} packages listed, but {len(pins)} are pinned")
if unlicensed := sorted(name for name, item in found.items() if not item.get("licenses")):
    sys.exit(f"sbom: packages without a licence: {', '.join(unlicensed)}")
with open(path, "w") as file:
    json.dump(bill, file, indent=2)
print(f"{len(found)} packages, each pinned and with its licence")
PYTHON
mv "$out.new" "$out"
