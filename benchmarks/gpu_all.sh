#!/bin/sh
# Everything that needs a GPU, in one command of under 8 minutes: tests, then benchmarks.
#   sh benchmarks/gpu_all.sh          PYTHON chooses the interpreter
cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python3}
export PYTHONPATH=.
timeout 270 "$PYTHON" -m pytest -m gpu -q tests
failed=$?
timeout 200 "$PYTHON" benchmarks/gpu_ops.py || failed=1
exit "$failed"
