# edgefer on a CPU: x86-64, and arm64 (Raspberry Pi 4 and 5, servers). The base image has both.
# Linted, not built: no image could be pulled here. How to run it: docs/docker.md
#
#   docker build -f docker/cpu.Dockerfile -t edgefer .
#   docker buildx build --platform linux/arm64 -f docker/cpu.Dockerfile -t edgefer:arm64 .
FROM python:3.13-slim-bookworm AS build
COPY . /src
RUN python -m venv /opt/edgefer \
    && /opt/edgefer/bin/pip install --no-cache-dir -c /src/constraints.txt '/src[live,report]'

FROM python:3.13-slim-bookworm
COPY --from=build /opt/edgefer /opt/edgefer
RUN useradd --uid 10001 --create-home edgefer \
    && install -d -o edgefer -g edgefer /cache /work
ENV PATH=/opt/edgefer/bin:$PATH EDGEFER_CACHE=/cache
# Cached data sets and YuNet's file.
VOLUME /cache
WORKDIR /work
USER 10001:10001
# Doctor exits with 3 if an installed part is broken.
HEALTHCHECK --interval=10m --timeout=60s --start-period=60s CMD ["edgefer", "doctor", "--json"]
ENTRYPOINT ["edgefer"]
CMD ["doctor"]
