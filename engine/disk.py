"""A disk that is full: known before writing where possible, survived for a while."""

import contextlib
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

_log = logging.getLogger(__name__)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MARGIN = 1.2  # room asked for, of what will be written
MOST_FAILURES = 3


def is_full(error: BaseException) -> bool:
    """Return whether an error says that the disk, the quota or the largest file is used up."""
    code = getattr(error, "code", None)
    return code == "E-IO-FULL" or (isinstance(error, OSError) and error.errno in FULL)


def require_room(folder: Path, num_bytes: int) -> None:
    """Raise the OSError of a full disk if `folder` has no room for `num_bytes` and a margin."""
    found = os.statvfs(folder)
    if found.f_bavail * found.f_frsize < MARGIN * num_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


class FullDisk:
    """Lets a training go on where the disk is full; the third time in a row ends it.

    Attributes:
        trouble: what was not written the last time, and why; empty if it was.
    """

    def __init__(self) -> None:
        self.failures, self.trouble = 0, ""

    @contextlib.contextmanager
    def survived(self, what: str) -> Iterator[None]:
        """Turn the error of a full disk into a warning that `what` is missing."""
        try:
            yield
        except (OSError, ValueError) as error:
            self.failures += 1
            if not is_full(error) or self.failures >= MOST_FAILURES:
                raise
            self.trouble = f"{what}: not written ({error})"
            left = MOST_FAILURES - self.failures
            _log.warning("%s Training ends after %d more.", self.trouble, left)
        else:
            self.failures, self.trouble = 0, ""
