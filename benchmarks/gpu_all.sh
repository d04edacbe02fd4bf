#!/bin/sh
# Everything that needs a GPU, in one command of under 10 minutes: doctor, tests, benchmarks.
#   sh benchmarks/gpu_all.sh          PYTHON chooses the interpreter
# The kernels under NVIDIA's compute-sanitizer (not part of it: 10 to 100 times slower), for each
# TOOL of memcheck, racecheck, initcheck and synccheck; uncached memory shows what overruns it:
#   PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool TOOL --error-exitcode 9 \
#       python3 -m pytest -m gpu -q --timeout 0 -k tiny_calls tests/custom_ops
cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python3}
export PYTHONPATH=.
timeout 30 "$PYTHON" -m custom_ops doctor
failed=$?
timeout 270 "$PYTHON" -m pytest -m gpu -q --durations=5 tests || failed=1
timeout 170 "$PYTHON" benchmarks/gpu_ops.py || failed=1
timeout 110 "$PYTHON" -m benchmarks.train --setting 256/8192/128 --setting 256/32768/512 \
    --generator-batch 0 --repeats 1 || failed=1
exit "$failed"
