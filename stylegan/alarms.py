"""Signs that a training is on its way to a bad end, read from its statistics.

They are told, never acted on: whoever runs the training decides.
"""

from collections.abc import Mapping, Sequence
from statistics import median

Row = Mapping[str, float]

WINDOW = 5  # ticks for which a sign must last
HISTORY = 50  # ticks that a gradient norm is compared with
EXPLOSION = 20  # times its median


def new_alarms(rows: Sequence[Row]) -> list[str]:
    """Return what is alarming in the last of the rows of a run and was not in the one before.

    Args:
        rows: of `stats.jsonl`, oldest first, with `real_sign`, `fake_sign`, `g_grad_norm`,
            `d_grad_norm`, `p` and `skipped_steps`.
    """
    before = alarms(rows[:-1])
    return [text for kind, text in alarms(rows).items() if kind not in before]


def alarms(rows: Sequence[Row]) -> dict[str, str]:
    """Return what is alarming in the last of the rows: kind and sentence."""
    if not rows:
        return {}
    return {**_of_signs(rows[-WINDOW:]), **_of_norms(rows), **_of_last(rows)}


def _of_signs(rows: Sequence[Row]) -> dict[str, str]:
    if len(rows) < WINDOW:
        return {}
    reals, fakes = ([row[name] for row in rows] for name in ("real_sign", "fake_sign"))
    if min(reals) > 0.95 and max(fakes) < -0.95:
        text = "D tells all pictures apart and G learns little. Try --aug ada, a larger --gamma"
        return {"D wins": f"{text} or a lower --dlr."}
    if max(real - fake for real, fake in zip(reals, fakes, strict=True)) < 0.05:
        text = "D no longer tells pictures apart: it has collapsed, or --gamma is too large"
        return {"D is blind": f"{text}. Look at the samples."}
    return {}


def _of_norms(rows: Sequence[Row]) -> dict[str, str]:
    found = {}
    for name, whose in (("g_grad_norm", "G"), ("d_grad_norm", "D")):
        *earlier, last = [row[name] for row in rows[-HISTORY:]]
        if len(earlier) >= WINDOW and last > EXPLOSION * median(earlier) > 0:
            times = last / median(earlier)
            text = f"the gradient of {whose} is {times:.0f} times as large as usual"
            found[name] = f"{text}. If it stays so, lower the learning rates."
    return found


def _of_last(rows: Sequence[Row]) -> dict[str, str]:
    found = {}
    skipped = rows[-1]["skipped_steps"] - (rows[-2]["skipped_steps"] if len(rows) > 1 else 0)
    if skipped > 0:
        found["skipped"] = f"{skipped:.0f} steps were left out: a gradient was not finite."
    if rows[-1]["p"] >= 1:
        text = "the augmentation is as strong as it can be, and D still knows the data by heart"
        found["p"] = f"{text}. More pictures would help."
    return found
