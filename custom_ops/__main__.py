"""`python -m custom_ops doctor`."""

import sys

from custom_ops.doctor import run_doctor


def main(arguments: list[str]) -> int:
    """Run the one command there is; return the exit code."""
    if arguments != ["doctor"]:
        sys.stderr.write("usage: python -m custom_ops doctor\n")
        return 2
    return run_doctor()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
