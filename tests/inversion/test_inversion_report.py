"""What result.json says about the candidates, by hand."""

import torch

from inversion.pipeline import Candidates
from inversion.project import Projection
from inversion.report import candidate_facts, off_diagonal_summary, ranking


def candidates() -> Candidates:
    return Candidates(
        first=2,
        ws=torch.zeros(2, 3, 4),
        pictures=torch.zeros(2, 3, 8, 8),
        residual_before_rms_255=torch.tensor([3.25, 4.5]),
        residuals_rms_255={"input": torch.tensor([3.5, 4.75]), "hint": torch.tensor([0.5, 0.25])},
        log_lik=torch.tensor([-10.0, -20.0]),
        log_prior=torch.tensor([-1.0, -2.0]),
        projection=Projection(
            pixels=torch.zeros(2, 3, 8, 8),
            residual_max_255=torch.tensor([1.0, 7.0]),
            residual_rms_255=torch.tensor([0.123456789, 2.0]).double(),
            share_identical=torch.tensor([0.75, 0.5]),
            correction_rms_255=torch.tensor([5.5, 6.5]),
            rounds=torch.tensor([1, 2]),
            feasible=torch.tensor([True, False]),
        ),
    )


def test_facts_are_one_row_per_candidate() -> None:
    assert candidate_facts(candidates(), seed=9) == [
        {
            "file": "candidate-2.png",
            "seed": [9, 2],
            "feasible": True,
            "residual_before_rms_255": 3.25,
            "residual_max_255": 1.0,
            "residual_rms_255": 0.123457,
            "share_identical": 0.75,
            "correction_rms_255": 5.5,
            "log_lik": -10.0,
            "log_prior": -1.0,
            "evidence_rms_255": {"input": 3.5, "hint": 0.5},
        },
        {
            "file": "candidate-3.png",
            "seed": [9, 3],
            "feasible": False,
            "residual_before_rms_255": 4.5,
            "residual_max_255": 7.0,
            "residual_rms_255": 2.0,
            "share_identical": 0.5,
            "correction_rms_255": 6.5,
            "log_lik": -20.0,
            "log_prior": -2.0,
            "evidence_rms_255": {"input": 4.75, "hint": 0.25},
        },
    ]


def test_the_closest_come_first_and_what_misses_comes_last() -> None:
    found = [(True, 9.0), (False, 1.0), (True, 7.5), (True, 2.0), (False, 0.5)]
    rows = [{"feasible": f, "residual_before_rms_255": r} for f, r in found]
    assert ranking(rows) == [3, 2, 0, 4, 1]
    assert ranking(rows[:1]) == [0]


def test_equals_keep_their_order() -> None:
    assert ranking([{"feasible": True, "residual_before_rms_255": 3.0}] * 3) == [0, 1, 2]


def test_summary_is_over_pairs() -> None:
    distances = torch.tensor([[0.0, 1, 5], [1, 0, 3.00049], [5, 3.00049, 0]])
    assert off_diagonal_summary(distances) == {
        "mean": 3.0,
        "min": 1.0,
        "pairs": [[0.0, 1.0, 5.0], [1.0, 0.0, 3.0], [5.0, 3.0, 0.0]],
    }


def test_twins_are_not_hidden_by_the_diagonal() -> None:
    summary = off_diagonal_summary(torch.tensor([[0.0, 0, 4], [0, 0, 4], [4, 4, 0]]))
    assert (summary["mean"], summary["min"]) == (2.667, 0.0)


def test_one_candidate_has_no_pairs() -> None:
    expected = {"mean": None, "min": None, "pairs": [[0.0]]}
    assert off_diagonal_summary(torch.zeros(1, 1)) == expected
