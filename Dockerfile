# Build the sidecar's image:  docker build -t idaas-credential-sidecar:0.2.0 .
#
# The target `emulator` also has the commands `demo`, `emulator` and `conformance`, which production never runs:
#   docker build --target emulator -t idaas-credential-sidecar:0.2.0-emulator .
#
# BASE_IMAGE: any Linux image with sh, Python 3.11 or newer with venv, and CA certificates. In production, pin a digest.
# pip prefers the wheels in .image/wheels/ to an index. With --build-arg PIP_NO_INDEX=1 it uses no index at all, and the
# build works without a network. deploy/image.sh does both.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS build
# pip reads these two variables: PIP_NO_INDEX for wheels only, PIP_INDEX_URL for an index other than the public one.
ARG PIP_NO_INDEX
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_FIND_LINKS=/src/wheels PIP_ROOT_USER_ACTION=ignore
# otel.txt: with the packages for `telemetry.tracesEndpoint`.
ARG REQUIREMENTS=runtime.txt
WORKDIR /src
# The brackets make the folder optional: COPY accepts a pattern without a match, but not a missing name.
COPY requirements/*.txt .imag[e]/wheels/*.whl wheels/
# One venv builds; the other is copied into the final image and contains neither pip nor setuptools.
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r wheels/build.txt \
 && python3 -m venv --without-pip /opt/idaas-sidecar \
 && /opt/build/bin/pip --python /opt/idaas-sidecar/bin/python install --no-compile \
    --require-hashes -r "wheels/$REQUIREMENTS"
COPY pyproject.toml README.md LICENSE ./
COPY app app
# unchecked-hash: Python does not compare the bytecode with its source, because files in an image never change.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/build/bin/pip --python /opt/idaas-sidecar/bin/python install --no-compile --no-deps --no-index dist/*.whl \
 && /opt/idaas-sidecar/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/idaas-sidecar/lib \
 && cp -a /opt/idaas-sidecar /opt/with-emulator \
 && rm -r /opt/idaas-sidecar/lib/python3*/site-packages/idaas_sidecar/emulator \
          /opt/idaas-sidecar/lib/python3*/site-packages/idaas_sidecar/conformance

FROM ${BASE_IMAGE} AS runtime
# Official Python images lack the bytecode of the standard library, and a read-only root file system prevents writing it.
# Each start and each `health` would compile the library again. If the bytecode exists, this step does nothing.
RUN python3 -m compileall -q -x '/(test|tests|idlelib|lib2to3|turtledemo|site-packages|dist-packages)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
ENV PATH=/opt/idaas-sidecar/bin:$PATH

# The mount point of a volume for the admin socket and the cache. A container engine copies its owner to a new volume.
RUN install -d -m 700 -o 65532 -g 65532 /run/idaas-sidecar

# A numeric user, so that Kubernetes can verify that it is not root (runAsNonRoot).
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["idaas-sidecar", "health"]
ENTRYPOINT ["idaas-sidecar"]
CMD ["serve"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="idaas-credential-sidecar" \
      org.opencontainers.image.description="Short-lived Alibaba Cloud STS credentials for every process on localhost." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS emulator
COPY --from=build /opt/with-emulator /opt/idaas-sidecar

FROM runtime
COPY --from=build /opt/idaas-sidecar /opt/idaas-sidecar
