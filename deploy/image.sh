#!/bin/sh
# Build and test the container image without a registry: `make image`.
#
# The script uses the running container engine. Without one it starts dockerd in a temporary folder and stops it at the
# end. mmdebstrap creates the base image. The machine's pip downloads the wheels first, so the build needs no network.
#
# The test simulates a pod: three containers share one loopback interface, for the application, the sidecar and the
# emulated cloud. The sidecar starts before the cloud, so that the test sees its start gate closed and then open. The
# sidecar is then also the first to map the image's files, so their memory counts as the sidecar's.
#
#   BASE_IMAGE=…  a base image that the engine has, instead of mmdebstrap's    IMAGE=…  the name of the built image
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
name=idaas-image-$$
engine=
image=${IMAGE:-idaas-credential-sidecar:dev}
base=${BASE_IMAGE:-}
pip=.venv/bin/pip
goal_mib=48
max_mib=56
apt="apt-get install --no-install-recommends"
started=$(date +%s)

say() { printf '%4d s  %s\n' "$(($(date +%s) - started))" "$*"; }

die() {
    echo "image: $*" >&2
    exit 1
}

skip() {
    echo "skipped: needs $*"
    if [ "${CI:-}" = true ]; then exit 1; else exit 0; fi
}

# Remove everything that this script created, by container name and process ID. The built image stays.
clean_up() {
    code=$?
    trap - EXIT INT TERM
    if [ "$code" -ne 0 ] && docker inspect "$name-sidecar" >/dev/null 2>&1; then
        docker logs "$name-sidecar" 2>&1 | tail -n 20 >&2
    fi
    docker rm --force "$name-sidecar" "$name-cloud" "$name-app" >/dev/null 2>&1 || :
    if [ "$base" = "$name-base" ]; then docker rmi "$base" >/dev/null 2>&1 || :; fi
    if [ -n "$engine" ]; then
        if [ "$code" -ne 0 ]; then tail -n 5 "$work/dockerd.log" >&2 || :; fi
        kill "$engine" 2>/dev/null || :
        wait "$engine" 2>/dev/null || :
    fi
    rm -rf "$work"
    exit "$code"
}

# Prefer Debian's client: it matches Debian's daemon, whatever other client is in PATH.
client=docker
if [ -x /usr/bin/docker ]; then client=/usr/bin/docker; fi
docker() { command "$client" "$@"; }

start_engine() {
    if docker info >/dev/null 2>&1; then return; fi
    command -v dockerd >/dev/null || skip "docker.io and mmdebstrap ($apt docker.io mmdebstrap)"
    [ "$(id -u)" = 0 ] || skip "a running container engine, or root to start one"
    dockerd --data-root "$work/root" --exec-root "$work/exec" --pidfile "$work/pid" --host "unix://$work/sock" \
        --bridge=none --iptables=false --ip6tables=false --ip-forward=false >"$work/dockerd.log" 2>&1 &
    engine=$!
    export DOCKER_HOST="unix://$work/sock"
    within 30 "dockerd is running" docker info
}

# within SECONDS WHAT COMMAND…: repeat the command until it succeeds; fail after SECONDS
within() {
    seconds=$1 what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        seconds=$((seconds - 1))
        [ "$seconds" -gt 0 ] || die "$what: not within the time limit"
        sleep 1
    done
    say "$what"
}

make_base() {
    if [ -n "$base" ]; then return; fi
    tar=.image/base-bookworm.tar
    if [ ! -f "$tar" ]; then
        command -v mmdebstrap >/dev/null || skip "mmdebstrap ($apt mmdebstrap)"
        mkdir -p .image
        mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base.tar" \
            </dev/null
        mv "$work/base.tar" "$tar"
    fi
    base=$name-base
    docker import "$tar" "$base" >/dev/null
    say "base image from $tar"
}

fetch_wheels() {
    [ -x "$pip" ] || die "$pip does not exist; run \`make image\`, which installs it"
    # The base image's Python may be another version than the machine's.
    version=$(docker run --rm --network none --entrypoint python3 "$base" \
        -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    mkdir -p .image/wheels
    "$pip" download --quiet --dest .image/wheels --only-binary :all: --python-version "$version" \
        --require-hashes -r requirements/build.txt -r requirements/runtime.txt
    say "wheels for Python $version: $(find .image/wheels -name '*.whl' | wc -l)"
}

build() {
    build_target "$image"
    build_target "$image-emulator" --target emulator
    say "built $image: $(size "$image") MiB, of which base $(size "$base") MiB; $image-emulator: $(size "$image-emulator") MiB"
}

# build_target TAG OPTION…
build_target() {
    tag=$1
    shift
    docker build --quiet --network none --build-arg PIP_NO_INDEX=1 --build-arg BASE_IMAGE="$base" \
        --build-arg VERSION="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' app/__init__.py)" \
        --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" --tag "$tag" "$@" . >/dev/null
}

size() { mib "$(docker image inspect --format '{{.Size}}' "$1")"; }
mib() { echo "$(($1 / 1048576))"; }

# hardened NAME ARGUMENT…: `docker run` with the restrictions of the Kubernetes manifest
hardened() {
    container=$name-$1
    shift
    docker run --detach --name "$container" --read-only --cap-drop ALL --security-opt no-new-privileges \
        --memory 64m --memory-swap 64m --pids-limit 64 --ulimit nofile=20000 "$@" >"$work/run.log" 2>&1 \
        || die "docker run: $(cat "$work/run.log")"
}

start_pod() {
    mkdir "$work/etc" "$work/secrets"
    printf 'demo-client-secret\n' >"$work/secrets/client-secret"
    cat >"$work/etc/config.json" <<'JSON'
{
  "configVersion": "1.0",
  "profiles": {
    "default": {
      "identity": {
        "type": "idaas",
        "idaasInstanceId": "idaas_demo",
        "clientId": "app_demo",
        "issuer": "https://127.0.0.1:7141/api/v2/iauths_system/oauth2",
        "tokenEndpoint": "http://127.0.0.1:7140/api/v2/iauths_system/oauth2/token",
        "scope": "api.demo.example|.all",
        "authnConfiguration": {
          "authnMethod": "CLIENT_SECRET_POST",
          "clientSecretFile": "/run/secrets/idaas-sidecar/client-secret"
        }
      },
      "exchange": {
        "type": "sts",
        "roleArn": "acs:ram::1234567890123456:role/demo-default",
        "oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/idaas-demo",
        "endpoints": ["http://127.0.0.1:7140"]
      }
    }
  },
  "shutdown": { "drainSeconds": 5 }
}
JSON
    chmod 755 "$work" "$work/etc" "$work/secrets"
    chmod 444 "$work/etc/config.json" "$work/secrets/client-secret"
    hardened app --network none --entrypoint sleep "$image" 600
    # The build left the image's files in the page cache, where they count for no container. Drop them, so that the files
    # that the sidecar maps count as its memory.
    { sync && echo 1 >/proc/sys/vm/drop_caches; } 2>/dev/null || :
    hardened sidecar --network "container:$name-app" --health-interval 1s --health-retries 60 \
        --volume "$work/etc:/etc/idaas-sidecar:ro" --volume "$work/secrets:/run/secrets/idaas-sidecar:ro" "$image"
}

# get URL [STATUS]: request URL from the application's container and print the body; fail if the status differs
get() {
    docker exec "$name-app" python3 -c '
import sys, urllib.error, urllib.request
url, expected = sys.argv[1], int(sys.argv[2])
try:
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode())
sys.exit(answer.status != expected)' "$1" "${2:-200}"
}

has_credentials() {
    get http://127.0.0.1:7117/credentials | python3 -c '
import json, sys
body = json.load(sys.stdin)
four = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
sys.exit(not (body["Code"] == "Success" and all(body[key] for key in four)))'
}

in_sidecar() { docker exec "$name-sidecar" "$@"; }
health_is() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$name-sidecar")" = "$1" ]; }

# Print the minimum and maximum of the working set and the maximum of memory.current over 60 samples, in bytes. The
# working set is what kubelet reports and evicts by: memory.current minus inactive file pages. The shell reads the files
# without other programs, which adds little memory.
# shellcheck disable=SC2016 # the container's shell expands it
memory() {
    in_sidecar sh -c '
cd /sys/fs/cgroup
current=memory.current idle=inactive_file
if [ ! -r "$current" ]; then cd memory; current=memory.usage_in_bytes idle=total_inactive_file; fi # cgroup v1
least= most=0 peak=0 left=60
while [ "$left" -gt 0 ]; do
    left=$((left - 1))
    read -r now <"$current"
    while read -r key value; do if [ "$key" = "$idle" ]; then set=$((now - value)); fi; done <memory.stat
    if [ -z "$least" ] || [ "$set" -lt "$least" ]; then least=$set; fi
    if [ "$set" -gt "$most" ]; then most=$set; fi
    if [ "$now" -gt "$peak" ]; then peak=$now; fi
    sleep 0.05
done
echo "$least $most $peak"'
}

# is_small WHEN: compare the working set with two limits. The minimum is that of the sidecar alone. The maximum includes
# the HEALTHCHECK that runs every second. Its limit is higher, because the engine's process that starts `health` counts
# too. The probes of kubelet start no process.
is_small() {
    read -r alone most current <<END
$(memory)
END
    [ "$alone" -gt 1048576 ] || die "memory could not be read: $alone"
    say "working set $1: $(mib "$alone") MiB, during health checks $(mib "$most") MiB;" \
        "memory.current $(mib "$current") MiB, limit 64 MiB"
    [ "$alone" -le $((goal_mib * 1048576)) ] || die "working set $1: more than $goal_mib MiB"
    [ "$most" -le $((max_mib * 1048576)) ] || die "working set $1 during health checks: more than $max_mib MiB"
}

try_start() {
    within 20 "health succeeds" in_sidecar idaas-sidecar health
    get http://127.0.0.1:7118/startupz 503 >/dev/null || die "/startupz is not 503 without credentials"
    in_sidecar idaas-sidecar health --ready >/dev/null && die "health --ready succeeds without credentials"
    hardened cloud --network "container:$name-app" --tmpfs /tmp:mode=1777 "$image-emulator" emulator --json --port 7140
    within 30 "/startupz is 200; it was 503 before the cloud started" get http://127.0.0.1:7118/startupz
    within 10 "HEALTHCHECK is healthy" health_is healthy
    in_sidecar idaas-sidecar health --ready >/dev/null || die "health --ready fails"
    has_credentials || die "GET /credentials does not return four values"
    say "GET /credentials returns four values"
}

try_hardening() {
    status=$(in_sidecar cat /proc/1/status)
    for line in "Uid:	65532	65532	65532	65532" "Gid:	65532	65532	65532	65532" "CapEff:	0000000000000000" \
        "CapBnd:	0000000000000000" "NoNewPrivs:	1"; do
        echo "$status" | grep -qxF "$line" || die "/proc/1/status lacks: $line"
    done
    for folder in / /opt/idaas-sidecar /tmp /etc/idaas-sidecar; do
        docker exec --user 0 "$name-sidecar" touch "$folder/probe" 2>&1 | grep -q 'Read-only file system' \
            || die "$folder is writable"
    done
    in_sidecar python3 -c 'import pip' 2>/dev/null && die "the image contains pip"
    for package in emulator conformance; do
        in_sidecar python3 -c "import idaas_sidecar.$package" 2>/dev/null && die "the image contains idaas_sidecar.$package"
    done
    in_sidecar idaas-sidecar demo 2>&1 | grep -q 'has no emulator' || die "demo does not say where the emulator is"
    say "uid 65532, no capabilities, no new privileges, read-only root"
}

try_bytecode() {
    in_sidecar python3 -c '
import importlib.util, json.decoder, pathlib, sys
import idaas_sidecar
root = pathlib.Path(idaas_sidecar.__file__).parent
files = [*root.rglob("*.py"), pathlib.Path(json.decoder.__file__)]
missing = [str(file) for file in files if not pathlib.Path(importlib.util.cache_from_source(str(file))).exists()]
sys.exit(" ".join(missing) if len(files) < 20 or missing else 0)' || die "files without bytecode"
    say "byte-compiled"
}

try_memory() {
    is_small "idle"
    for _ in 1 2 3; do get http://127.0.0.1:7118/metrics >/dev/null; done
    is_small "after scrapes"
}

try_stop() {
    stopped_at=$(date +%s)
    docker stop --time 30 "$name-sidecar" >/dev/null &
    stopping=$!
    sleep 2
    has_credentials || die "no credentials while the sidecar drains"
    wait "$stopping"
    code=$(docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}}' "$name-sidecar")
    [ "$code" = "0 false" ] || die "SIGTERM: exit code and OOM kill are $code, not 0 false"
    took=$(($(date +%s) - stopped_at))
    if [ "$took" -lt 4 ] || [ "$took" -ge 15 ]; then die "SIGTERM: stopped after $took s instead of about 5 s of draining"; fi
    say "SIGTERM: served while draining, exit code 0 after $took s"
}

trap clean_up EXIT
trap 'exit 130' INT TERM
start_engine
make_base
fetch_wheels
build
start_pod
try_start
try_hardening
try_bytecode
try_memory
try_stop
say "done"
