"""Curves of a training: which numbers are drawn, where, and that the picture is of those alone."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from evaluation.curves import Panel, draw_curves, draw_panel, joined, panels_of

ROOT = Path(__file__).parent.parent.parent


def rows(count: int, **more: object) -> list[dict]:
    """Statistics as train_gan.py writes them, that change from row to row."""
    return [
        {"kimg": k / 10, "step": 4 * k, "g_loss": 1 + math.sin(k), "d_loss": 1.0, "lr": 1, **more}
        for k in range(1, count + 1)
    ]


def drawn(stats: list[dict], folder: Path) -> bytes:
    draw_curves(stats, folder / "curves.png")
    return (folder / "curves.png").read_bytes()


def lines_of(panel: Panel, stats: list[dict]) -> dict[str, np.ndarray]:
    """Draw one panel; return its named curves as [n, 2]."""
    axes = Figure().subplots()
    draw_panel(axes, panel, stats, "kimg")
    return {
        line.get_label(): line.get_xydata() for line in axes.lines if line.get_label()[0] != "_"
    }


# ---- which numbers ----


def test_every_number_has_a_panel_and_metrics_come_first() -> None:
    stats = rows(3, real_sign=0.5, r1=0.1, g_grad_norm=1.0, d_grad_norm=2.0, ada_p=0.0)
    stats[1] |= {"fd_pixels16": 9.0, "kid50k": 0.1, "nan_steps": 2}
    assert [(p.title, p.is_metric) for p in panels_of(stats)] == [
        ("fd_pixels16", True),
        ("kid50k", True),
        ("loss", False),
        ("mean sign of D: 1 overfits, 0 sees nothing", False),
        ("R1 penalty", False),
        ("gradient norm", False),
        ("augmentation probability p", False),
        ("learning rate, of its full value", False),
        ("nan_steps", False),
    ]


def test_a_curve_holds_the_values_and_names_the_last() -> None:
    stats = rows(20)
    found = lines_of(Panel("loss", "[gd]_loss"), stats)
    assert list(found) == [f"generator  {stats[-1]['g_loss']:.4g}", "discriminator  1"]
    for line, key in zip(found.values(), ("g_loss", "d_loss"), strict=True):
        assert np.array_equal(line, [(row["kimg"], row[key]) for row in stats])


def test_metrics_are_points_where_they_were_measured_and_the_best_is_marked() -> None:
    stats = rows(30)
    for k, value in ((9, 30.0), (19, 8.5), (29, 10.25)):
        stats[k]["fd_pixels16"] = value
    [panel] = [p for p in panels_of(stats) if p.is_metric]
    found = lines_of(panel, stats)
    assert found["last  10.25"].tolist() == [[1, 30], [2, 8.5], [3, 10.25]]
    assert found["best  8.5"].tolist() == [[2, 8.5]]


def test_a_metric_may_be_negative() -> None:
    stats = [{"kimg": k, "kid50k": value} for k, value in enumerate((0.5, -0.01, 0.02))]
    [panel] = panels_of(stats)
    assert lines_of(panel, stats)["best  -0.01"].tolist() == [[1, -0.01]]


def test_many_points_are_smoothed_without_their_spikes() -> None:
    stats = rows(400, g_loss=2.0)
    stats[200]["g_loss"] = 1e6
    axes = Figure().subplots()
    draw_panel(axes, Panel("loss", "g_loss"), stats, "kimg")
    smooth, pale = axes.lines
    assert np.allclose(smooth.get_ydata(), 2) and axes.get_ylim()[1] < 3
    assert pale.get_ydata().max() == 1e6


def test_metrics_have_rows_of_their_own() -> None:
    stats = rows(30)
    table = [
        {"kimg": kimg, "step": 40 * kimg, "fd_pixels16": value, "seconds": 5.0}
        for kimg, value in ((0, 90.0), (1, 30.0), (1.05, 20.0), (2, 66.0), (2, 10.0))
    ]  # before the first row, with one, between two, and measured again after a resume
    found = joined(stats, [table, [{"kimg": 1, "kid50k": 0.5}]], "kimg")
    assert [row["kimg"] for row in found] == sorted({0, 1.05, *(row["kimg"] for row in stats)})
    taken = {row["kimg"]: row["fd_pixels16"] for row in found if "fd_pixels16" in row}
    assert taken == {0: 90, 1: 30, 1.05: 20, 2: 10}
    assert found[10] == stats[9] | {"fd_pixels16": 30, "kid50k": 0.5}
    assert "fd_pixels16" not in stats[9]
    titles = [panel.title for panel in panels_of(found)]
    assert titles[:2] == ["fd_pixels16", "kid50k"] and "seconds" not in titles


# ---- the picture ----


def test_metrics_are_drawn_with_the_statistics(tmp_path: Path) -> None:
    stats, table = rows(30), [{"kimg": 1, "fd_pixels16": 30.0}, {"kimg": 2, "fd_pixels16": 20.0}]
    draw_curves(stats, tmp_path / "apart.png", [table])
    stats[9] |= table[0]
    stats[19] |= table[1]
    assert drawn(stats, tmp_path) == (tmp_path / "apart.png").read_bytes()
    draw_curves([], tmp_path / "alone.png", [[{"step": 4, "fd_pixels16": 30.0}]])
    assert (tmp_path / "alone.png").exists()


def test_what_a_resumed_run_does_again_replaces_what_it_did(tmp_path: Path) -> None:
    straight = rows(40)
    lost = [{**row, "g_loss": 77.0} for row in straight[20:30]]
    assert drawn(straight[:20] + lost + straight[20:], tmp_path) == drawn(straight, tmp_path)
    assert drawn(straight[:20] + straight[30:], tmp_path) != drawn(straight, tmp_path)


def test_what_is_no_finite_number_is_left_out(tmp_path: Path) -> None:
    clean, dirty = rows(12), rows(12, note="text", nothing=None, table=[1, 2])
    del clean[3]["g_loss"], clean[7]["g_loss"]
    dirty[3]["g_loss"], dirty[7]["g_loss"] = math.nan, math.inf
    dirty[5]["fd_pixels16"] = math.nan  # of a diverged generator
    assert drawn(dirty, tmp_path) == drawn(clean, tmp_path)


def test_what_a_logarithmic_axis_cannot_show_is_left_out() -> None:
    stats = [{"kimg": k, "r1": r1} for k, r1 in enumerate((0.0, 0.5, 0.25, 0.0))]
    [line] = lines_of(Panel("R1 penalty", "r1", "log"), stats).values()
    assert line.tolist() == [[1, 0.5], [2, 0.25]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("count", [1, 60, 300])
def test_any_length_can_be_drawn_and_always_gives_the_same_bytes(tmp_path, count: int) -> None:
    stats = rows(count, r1=0.0)  # nothing that a logarithmic axis can show
    first = drawn(stats, tmp_path)
    assert first == drawn(stats, tmp_path)
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.mode == "RGB" and picture.width == 1320
        assert len(picture.getcolors(1 << 20)) > 20


def test_runs_without_kimg_are_drawn_over_steps(tmp_path: Path) -> None:
    stats = [{"step": k, "mse": 1 / k} for k in range(1, 5)]
    assert drawn(stats, tmp_path)


@pytest.mark.parametrize("stats", [[], [{"kimg": 1, "step": 2}]], ids=str)
def test_nothing_is_drawn_of_nothing(tmp_path: Path, stats: list[dict]) -> None:
    draw_curves(stats, tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []


def test_no_state_is_left_in_pyplot(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from evaluation.curves import draw_curves
draw_curves([dict(kimg=1, g_loss=1.0)], Path({str(tmp_path / "curves.png")!r}))
assert "matplotlib.pyplot" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
