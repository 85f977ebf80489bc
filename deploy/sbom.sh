#!/bin/sh
# Writes the software bill of materials of what the image and the wheel run on: `make sbom`. CycloneDX 1.6, JSON: each
# pinned package with version, licence and what it needs; the same bytes for the same pins and the same Python.
#
#   sh deploy/sbom.sh FILE
set -eu
cd "$(dirname "$0")/.."
out=${1:-sbom.json}
venv=${VENV:-.venv}
python=$venv/bin/python

# The run-time requirements and nothing else, not even pip: that is what the image holds.
rm -rf "$venv/shipped"
"$python" -m venv --without-pip "$venv/shipped"
"$venv/bin/pip" --python "$venv/shipped/bin/python" install --quiet --require-hashes -r requirements/runtime.txt
if [ ! -x "$venv/sbom/bin/cyclonedx-py" ]; then
    "$python" -m venv "$venv/sbom"
    "$venv/sbom/bin/pip" install --quiet --require-hashes -r requirements/sbom.txt
fi
"$venv/sbom/bin/cyclonedx-py" environment "$venv/shipped/bin/python" --pyproject pyproject.toml \
    --output-reproducible --spec-version 1.6 --validate -o "$out.new"

# The tool does not know a version that is computed; and a list that lacks something is worse than none.
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
    sys.exit(f"sbom: not in it, or in another version: {', '.join(wrong)}")
if len(pins) != len(found):
    sys.exit(f"sbom: {len(found)} packages where {len(pins)} are pinned")
if unlicensed := sorted(name for name, item in found.items() if not item.get("licenses")):
    sys.exit(f"sbom: without a licence: {', '.join(unlicensed)}")
with open(path, "w") as file:
    json.dump(bill, file, indent=2)
print(f"{len(found)} packages, each pinned, with its licence")
PYTHON
mv "$out.new" "$out"
