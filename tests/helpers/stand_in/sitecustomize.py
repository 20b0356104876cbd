"""Installs a fake GPU in programs that tests start: put this folder on PYTHONPATH.

Python imports a module with this name when it starts. The driver is `libcuda.c`, TensorRT's runtime is ONNX Runtime
(`fake_gpu`). STAND_IN_TENSORRT=0 removes TensorRT, and
STAND_IN_GPUS=0 the GPU. Fresh processes of a bench inherit all of it.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

if "STAND_IN" in os.environ:
    del os.environ["STAND_IN"]  # imports below may start Python
    os.environ["FAKE_CUDA_DEVICES"] = os.environ.get("STAND_IN_GPUS", "1")
    from tests.helpers import fake_gpu

    cuda = fake_gpu.driver()
    os.environ["STAND_IN"] = "1"
    if os.environ.get("STAND_IN_TENSORRT") == "0":
        sys.modules["tensorrt"] = None
    else:
        import tensorrt_rtx

        from edgefer.backends.tensorrt import builder

        sys.modules["tensorrt"] = tensorrt_rtx  # the same API, another number
        builder._OLDEST = 1
        builder.build = lambda content, *_, **__: builder.Built(content, tensorrt_rtx.__version__, (), 0.1)
        builder.load = lambda content, *_, **__: fake_gpu.Engine(content, 32, tensorrt_rtx, cuda)
