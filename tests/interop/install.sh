#!/bin/sh
# Installs the pinned client SDKs into .interop/, one directory per kit. A kit that is installed and unchanged is kept.
# `.installed`, a copy of the pins and of the compiled files, is written last; the tests compare it.
set -eu
cd "$(dirname "$0")/../.."
pins=tests/interop

fresh() { # KIT FILE…
    kit=$1
    shift
    cat "$@" | cmp -s - ".interop/$kit/.installed"
}

without() { # TOOL PACKAGE: prints a message and succeeds if the tool is missing
    command -v "$1" >/dev/null && return 1
    echo "skipped: needs $1 ($2)"
}

python_kit() { # NAME
    kit=$1
    if [ -x ".interop/$kit/bin/python" ] && fresh "$kit" "$pins/$kit/requirements.txt"; then return; fi
    python=${PYTHON:-python3}
    if [ -x .venv/bin/python ]; then python=.venv/bin/python; fi
    rm -rf ".interop/$kit"
    "$python" -m venv ".interop/$kit"
    pip() { ".interop/$kit/bin/pip" --disable-pip-version-check install --quiet --require-hashes "$@"; }
    # Some packages are source archives. Their build tools are pinned too, so that everything has a hash.
    pip -r requirements/build.txt
    pip --no-build-isolation --use-pep517 -r "$pins/$kit/requirements.txt"
    cp "$pins/$kit/requirements.txt" ".interop/$kit/.installed"
}

node_kit() {
    if without node "apt-get install nodejs npm" || without npm "apt-get install nodejs npm"; then return; fi
    if fresh node "$pins/node/package-lock.json"; then return; fi
    rm -rf .interop/node
    mkdir -p .interop/node
    cp "$pins/node/package.json" "$pins/node/package-lock.json" .interop/node
    (cd .interop/node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp "$pins/node/package-lock.json" .interop/node/.installed
}

go_kit() {
    # A Go toolchain may be where its archive was unpacked, which is not always on PATH.
    PATH=$PATH:/usr/local/go/bin:$PWD/.interop/go-toolchain/bin
    sources="$pins/go/go.sum $pins/go/go.mod $pins/go/clients.go $pins/go/main.go $pins/go/readme/main.go"
    # shellcheck disable=SC2086 # a list of words
    if [ -x .interop/go/clients ] && fresh go $sources; then return; fi
    command -v go >/dev/null || go_toolchain || return 0
    rm -rf .interop/go
    mkdir -p .interop/go
    # go.sum has the hash of every module. -mod=readonly prevents additions to it.
    for program in clients:. readme:./readme; do
        (cd "$pins/go" && CGO_ENABLED=0 GOFLAGS='' GOWORK=off go build -mod=readonly -trimpath -buildvcs=false \
            -ldflags='-s -w' -o "../../../.interop/go/${program%%:*}" "${program#*:}")
    done
    # shellcheck disable=SC2086
    cat $sources >.interop/go/.installed
}

# Debian's Go is older than the version that the SDKs need.
go_toolchain() {
    rm -rf .interop/go-toolchain
    "${PYTHON:-python3}" -m venv .interop/go-toolchain
    .interop/go-toolchain/bin/pip install --quiet --require-hashes -r "$pins/go/toolchain.txt" && return
    echo "skipped: needs Go 1.26 or newer (pip has none for this machine)"
    return 1
}

java_kit() {
    for tool in java javac mvn; do
        if without $tool "apt-get install openjdk-17-jdk-headless maven"; then return; fi
    done
    sources="$pins/java/jars.sha256 $pins/java/pom.xml $pins/java/Clients.java $pins/java/Harness.java $pins/java/Example.java"
    # shellcheck disable=SC2086
    if fresh java $sources; then return; fi
    rm -rf .interop/java
    mkdir -p .interop/java
    jars=$PWD/.interop/java/jars
    mvn --batch-mode --quiet --strict-checksums -f "$pins/java/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies -DoutputDirectory="$jars"
    # Every jar must have a hash here, and every hash a jar.
    sums=$PWD/$pins/java/jars.sha256
    (cd "$jars" && sha256sum --quiet --strict --check "$sums" && find . -name '*.jar' | wc -l) |
        grep -qx "$(wc -l <"$sums")" || { echo "the jars differ from $pins/java/jars.sha256" >&2; exit 1; }
    javac -d .interop/java/classes -cp "$jars/*" "$pins"/java/*.java
    # shellcheck disable=SC2086
    cat $sources >.interop/java/.installed
}

python_kit python
python_kit sdk
node_kit
go_kit
java_kit
