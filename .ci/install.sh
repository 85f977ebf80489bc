#!/bin/sh
# Install the tools that the checks need beyond Python, on Debian 12 as root. Tools that exist are not installed again.
set -eu
export DEBIAN_FRONTEND=noninteractive

packages=
need() { # COMMAND PACKAGE…
    command -v "$1" >/dev/null && return
    shift
    packages="$packages $*"
}

need python3 python3
python3 -c 'import venv, ensurepip' 2>/dev/null || packages="$packages python3-venv"
need make make
need dockerd docker.io
need mmdebstrap mmdebstrap
need systemd-analyze systemd
need shellcheck shellcheck
need ip iproute2
need unshare util-linux
need node nodejs
need npm npm
need faketime faketime
need javac openjdk-17-jdk-headless
need mvn maven
need promtool prometheus
need curl curl
# Go, for the client SDKs, is not in the list: Debian's version is too old. tests/interop/install.sh installs it if needed.

apt-get update -qq
if [ -n "$packages" ]; then
    echo "installing:$packages"
    # shellcheck disable=SC2086 # a list of words
    apt-get install -qq -y --no-install-recommends $packages >/dev/null
fi
