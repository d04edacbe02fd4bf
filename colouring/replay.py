"""Make the files of an earlier call again from the record that it left, `result.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from colouring.options import Options


class ReplayError(ValueError):
    """A record that cannot be followed."""

    def __init__(self, message: str, code: str = "E-DATA-REPLAY") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Record:
    """What an earlier call was asked, and what its inputs were."""

    image: Path
    options: Options
    sha256: dict[str, str | None]
    versions: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a `result.json`.

        Raises:
            ReplayError: it is none, or of another version.
        """
        try:
            facts = json.loads(path.read_bytes())
            asked = dict(facts["options"])
            image = Path(asked.pop("image"))
            return cls(image, _options(asked), dict(facts["sha256"]), dict(facts["versions"]))
        except FileNotFoundError:
            raise ReplayError(f"{path}: no such file. Check the path.", "E-IO-MISSING") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            what = "not the result.json of this version of invert.py"
            raise ReplayError(f"{path}: {what} ({type(error).__name__}: {error}).") from error

    def require_same(self, facts: dict[str, Any]) -> None:
        """Refuse inputs that are not those of the record.

        Raises:
            ReplayError: E-DATA-MISMATCH.
        """
        for kind, digest in self.sha256.items():
            if facts["sha256"][kind] != digest:
                asked = facts["options"][kind]
                what = f"is not the {kind} of the record (its SHA-256 is another)"
                raise ReplayError(f"{asked}: {what}. Give that one.", "E-DATA-MISMATCH")

    def differences(self, versions: dict[str, str]) -> list[str]:
        """Return a warning for each version by which the bytes may differ."""
        return [
            f"warning: made with {name} {then}, here is {versions.get(name, 'none')}: the bytes may"
            " differ"
            for name, then in self.versions.items()
            if versions.get(name) != then
        ]


def _options(asked: dict[str, Any]) -> Options:
    """Return options from their record.

    Raises:
        TypeError: a name is not that of an option.
    """
    paths = {field.name for field in fields(Options) if "Path" in str(field.type)}
    values: dict[str, Any] = {}
    for name, value in asked.items():
        is_path = name in paths and value is not None
        values[name] = (
            Path(value) if is_path else tuple(value) if name == "crop" and value else value
        )
    return Options(**values)
