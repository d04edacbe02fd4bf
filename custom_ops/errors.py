"""The one exception of this package."""


class OpsError(ValueError):
    """An operation was asked for something it cannot do.

    `code` is stable and machine readable: `E-OPS-ARG` (an argument is wrong), `E-OPS-IMPL` (the
    implementation asked for does not exist or does not cover this call), `E-OPS-BUILD` (the
    compiled kernels could not be built and were explicitly asked for).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
