"""Whether the truth looks like one more candidate: the statistics of simulation-based calibration.

Truths are drawn from the model, candidates from what should be their posteriors. Then the rank of a
truth's number among its candidates' is uniform (Cook et al. 2006; Talts et al. 2018). Its normal
score is standard normal: too large a variance says that candidates are too much alike, too small a
one that they differ too much, a mean other than 0 that they are off to one side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
NARROW, WIDE = 0.7, 1.4  # factors of the candidates' spread that the test must notice
ALLOWED, NOTICED = 0.01, 0.001
BINS = 8


@dataclass(frozen=True)
class Ranks:
    """One number of each of n truths, and of K candidates for each.

    Ties, and the place within a rank, are drawn with a seed: for a calibrated sampler `uniforms` is
    exactly uniform, whatever K is.
    """

    truth: Floats  # [n]
    candidates: Floats  # [n, K]

    def uniforms(self) -> Floats:
        """Return the truths' places among their candidates, each in (0, 1), `[n]`."""
        drawn = np.random.default_rng(0).uniform(size=len(self.truth))
        below = (self.candidates < self.truth[:, None]).sum(1)
        equal = (self.candidates == self.truth[:, None]).sum(1)
        return (below + drawn * (1 + equal)) / (self.candidates.shape[1] + 1)

    def scores(self) -> Floats:
        """Return normal scores, `[n]`."""
        return stats.norm.ppf(self.uniforms().clip(1e-12, 1 - 1e-12))

    def p_value(self) -> float:
        """Return how likely scores as far from N(0, 1) are, in mean and variance together.

        Both tests are exact and independent of each other; Fisher's method joins them.
        """
        z = self.scores()
        n = len(z)
        of_mean = 2 * stats.norm.sf(abs(z.mean()) * n**0.5)
        below = stats.chi2.cdf(n * z.var(), n - 1)
        of_spread = 2 * min(below, stats.chi2.sf(n * z.var(), n - 1))
        return float(stats.combine_pvalues([max(of_mean, 1e-300), max(of_spread, 1e-300)]).pvalue)

    def shape_p_value(self) -> float:
        """Return the p-value of Pearson's test that ranks fall into equal bins alike."""
        return float(stats.chisquare(np.histogram(self.uniforms(), BINS, (0, 1))[0]).pvalue)

    def scaled(self, factor: float) -> Ranks:
        """Return the same with the candidates' spread about their mean multiplied."""
        centre = self.candidates.mean(1, keepdims=True)
        return Ranks(self.truth, centre + factor * (self.candidates - centre))


Table = dict[str, dict[str, float]]


def examine(ranks: dict[str, Ranks]) -> Table:
    """Return the row of each number: p-values, and mean and deviation of the normal scores."""
    return {
        name: {
            "p": each.p_value(),
            "p_shape": each.shape_p_value(),
            "mean": float(each.scores().mean()),
            "std": float(each.scores().std()),
            "p_narrow": each.scaled(NARROW).p_value(),
            "p_wide": each.scaled(WIDE).p_value(),
        }
        for name, each in ranks.items()
    }


@dataclass(frozen=True)
class Verdict:
    """What a table of m numbers says; its test is the smallest p-value times m (Bonferroni)."""

    is_calibrated: bool  # that is at least 0.01
    has_power: bool  # it is below 0.001 for candidates 0.7 times as spread, and for 1.4

    @classmethod
    def of(cls, table: Table) -> Verdict:
        """Judge a table."""
        of_all, narrow, wide = (
            len(table) * min(row[name] for row in table.values())
            for name in ("p", "p_narrow", "p_wide")
        )
        return cls(of_all >= ALLOWED, max(narrow, wide) < NOTICED)
