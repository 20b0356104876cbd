#!/usr/bin/env bash
# Compiles kernels.c to kernels.wasm and notes of which source; needs Debian's clang and lld.
set -euo pipefail
cd "$(dirname "$0")"
clang --target=wasm32 -O3 -msimd128 -ffp-contract=off -nostdlib -Wl,--no-entry -Wl,--import-memory -Wl,--strip-all \
    -Wl,-z,stack-size=16384 -o kernels.wasm kernels.c
chmod 644 kernels.wasm
sha256sum kernels.c kernels.wasm >kernels.sha256
