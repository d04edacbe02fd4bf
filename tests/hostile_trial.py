"""Give every pickle in a folder to convert.py, then to Python itself; print what they did as JSON.

    python hostile_trial.py FOLDER

`NAME.pkl` makes the file `NAME.ran` when it runs. One process: audit hooks cannot be taken away.
"""

import contextlib
import copyreg
import json
import os
import pickle
import sys
import time
import warnings
from pathlib import Path

from click.testing import CliRunner
from hostile_pickles import EXTENSIONS
from nvidia_case import layout, stand_ins

import convert

events, is_watching = [], False


def watch(event, arguments):
    if is_watching:
        events.append([event, *(str(argument)[:200] for argument in arguments)])


def offer(path):
    """Return what convert.py did with a pickle: every audit event is one of its doings."""
    global is_watching
    modules = set(sys.modules)
    events.clear()
    command = [str(path), "--out", str(path.with_suffix(".made"))]
    is_watching = True
    result = CliRunner().invoke(convert.convert, command)
    is_watching = False
    return {
        "exit_code": result.exit_code,
        "output": result.output,
        "events": list(events),
        "imported": sorted(set(sys.modules) - modules),
        "ran": path.with_suffix(".ran").exists(),
        "made": sorted(p.name for p in path.with_suffix(".made").glob("*")),
    }


def load_plainly(paths):
    """Return the names of the pickles that run when Python loads them."""
    warnings.simplefilter("ignore")
    with stand_ins(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for path in paths:
            with contextlib.suppress(BaseException):
                pickle.loads(path.read_bytes())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not all(p.with_suffix(".ran").exists() for p in paths):
        time.sleep(0.05)  # a process that was started and not waited for
    return [path.stem for path in paths if path.with_suffix(".ran").exists()]


def main(folder):
    paths = sorted(folder.glob("*.pkl"))
    for number, (name, _) in EXTENSIONS.items():
        copyreg.add_extension(*name.split(), number)
    for content in (layout("t"), b"cos\nsystem\n."):  # what is imported late is imported now
        (folder / "first").write_bytes(content)
        offer(folder / "first")
    sys.addaudithook(watch)
    offered = {path.stem: offer(path) for path in paths}
    print(json.dumps({"offered": offered, "live": load_plainly(paths)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
