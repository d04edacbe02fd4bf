"""Which run, and which of its states, a start goes on with."""

import os
import re
from pathlib import Path

from engine.record import launch, read_record
from engine.states import list_states, resolve_state, step_of

AUTO = "auto"


def named_run(resume: Path | None) -> Path | None:
    """Return the run folder that a user names: itself or one of its states; None for 'auto'."""
    if resume is None or str(resume) == AUTO:
        return None
    return resume.resolve().parent if step_of(resume) >= 0 else resume


def begun_run(resume: Path | None, outdir: Path, name: str) -> Path | None:
    """Return the newest run in `outdir` that a start shall go on with, None for a new run.

    Args:
        resume: 'auto' for a run of this name; None for a new one, unless torchrun has started this
            process anew: then for the one that its predecessor began.
        outdir: where the numbered run folders lie.
        name: what follows the number in the folder's name; the number of processes in it may
            have changed.
    """
    name = re.sub(r"-gpus\d+-", "-gpus*-", name)
    runs = sorted(outdir.glob(f"[0-9][0-9][0-9][0-9][0-9]-{name}"), reverse=True)
    if resume is None:
        runs = [run for run in runs if _is_restart_of(run)]
    return runs[0] if runs else None


def _is_restart_of(run: Path) -> bool:
    """Return whether torchrun has started this process anew, and its predecessor was in `run`."""
    is_anew = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
    return is_anew and read_record(run).get("launch") == launch()


def state_to_resume(run: Path, resume: Path | None) -> Path | None:
    """Return the state that a run goes on from, None for its beginning.

    A state that the user named is where the run went back to; a restart goes on with the newest.

    Raises:
        StateError: none is there although the user named the run, or all are damaged.
    """
    is_named = named_run(resume) is not None
    if not is_named and not list_states(run):
        return None
    return resolve_state(resume if resume and is_named and not _is_restart_of(run) else run)
