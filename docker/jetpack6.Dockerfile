# edgefer on a Jetson Orin with JetPack 6: TensorRT, its Python binding and CUDA are the base image's.
# Linted, not built: no image could be pulled here. Mounts that identify the board: docs/docker.md
#
#   docker build -f docker/jetpack6.Dockerfile -t edgefer:jetpack6 .
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0
# The versions of the base image's Ubuntu release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
# JetPack's tensorrt belongs to the system's Python 3.10, so the environment sees the system's packages. CUDA there is
# 12.6, which needs CUDA 12 bindings.
RUN python3 -m venv --system-site-packages /opt/edgefer \
    && /opt/edgefer/bin/pip install --no-cache-dir '/src[live,report]' 'cuda-bindings>=12.9,<13' \
    && rm -rf /src
RUN useradd --uid 10001 --create-home --groups video edgefer \
    && install -d -o edgefer -g edgefer /cache /work
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=all
ENV PATH=/opt/edgefer/bin:$PATH EDGEFER_CACHE=/cache
# Engines and TensorRT's timing cache: a new container builds nothing again.
VOLUME /cache
WORKDIR /work
USER 10001:10001
# Doctor exits with 3 if an installed part is broken.
HEALTHCHECK --interval=10m --timeout=60s --start-period=60s CMD ["edgefer", "doctor", "--json"]
ENTRYPOINT ["edgefer"]
CMD ["doctor"]
