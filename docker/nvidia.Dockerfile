# edgefer on a PC or server with an NVIDIA GPU (x86-64): TensorRT from pip, the driver from the host.
# Linted, not built: no image could be pulled here. How to run it: docs/docker.md
#
#   docker build -f docker/nvidia.Dockerfile -t edgefer:nvidia .
#   docker build -f docker/nvidia.Dockerfile --build-arg EXTRA=rtx -t edgefer:rtx .     TensorRT for RTX instead
FROM python:3.13-slim-bookworm AS build
# tensorrt, or rtx
ARG EXTRA=tensorrt
COPY . /src
# TensorRT's libraries are in NVIDIA's own index.
RUN python -m venv /opt/edgefer \
    && /opt/edgefer/bin/pip install --no-cache-dir -c /src/constraints.txt \
        --extra-index-url https://pypi.nvidia.com "/src[live,report,${EXTRA}]"

FROM python:3.13-slim-bookworm
COPY --from=build /opt/edgefer /opt/edgefer
RUN useradd --uid 10001 --create-home edgefer \
    && install -d -o edgefer -g edgefer /cache /work
# The container toolkit mounts the requested parts: driver libraries, and nvidia-smi for clocks and power.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV PATH=/opt/edgefer/bin:$PATH EDGEFER_CACHE=/cache
# Engines and TensorRT's timing cache: a new container builds nothing again.
VOLUME /cache
WORKDIR /work
USER 10001:10001
# Doctor exits with 3 if an installed part is broken.
HEALTHCHECK --interval=10m --timeout=60s --start-period=60s CMD ["edgefer", "doctor", "--json"]
ENTRYPOINT ["edgefer"]
CMD ["doctor"]
