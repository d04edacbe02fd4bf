"""How a grey picture was blurred and toned, solved for together with a latent."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inversion.joint import JointSearch
from inversion.operators import LUMA, Frame, bicubic_matrix, gaussian_matrix
from inversion.pose import Guess
from inversion.tones import Tones

BLURS, GAMMAS, PAPERS = (0.4, 0.9, 1.7), (0.85, 1.0, 1.18), (0.88, 1.0)  # tried first
BLUR_UNIT, GAMMA_UNIT, PAPER_UNIT = 0.7, 0.2, 0.1  # prior standard deviations, of logarithms
USUAL_BLUR = 0.7  # pixels of y
DARKEST = 1e-3  # of grey in [0, 1]: powers have no slope at 0


@dataclass(frozen=True)
class ToneSearch(JointSearch):
    """Solve for the logarithms of blur, gamma and paper, in units, and a latent at once."""

    guess: Guess | None = None  # of the input as it is; the prior's mean without

    def tones(self) -> Tones:
        """Return the tones of the largest posterior density that was found."""
        blur, gamma, paper = (float(t) for t in _meaning(self.numbers()[None].cpu()))
        return Tones(blur, gamma, paper)

    def grid(self) -> Tensor:
        """Return the tones to try first."""
        tried = torch.tensor(list(itertools.product(BLURS, GAMMAS, PAPERS))).log()
        return (tried - torch.tensor([math.log(USUAL_BLUR), 0, 0])) / torch.tensor(_UNITS)

    def guesses(self, numbers: Tensor) -> Tensor:
        """Return what is guessed from the input, the same for all numbers."""
        if self.guess is None:
            return numbers.new_zeros(len(numbers), self.prior.dim)
        return self.guess(self.input.look).expand(len(numbers), -1)

    def misfit(self, ws: Tensor, numbers: Tensor) -> Tensor:
        """Return the whitened misfit of pictures blurred and toned so."""
        img, evidence = self._samples(ws), self.input.evidence
        blur, gamma, paper = _meaning(numbers)
        grey = (self._blurred(img, blur) + 1) / 2
        exponent, white = gamma[:, None, None, None], paper[:, None, None, None]
        y_hat = 2 * white * grey.clamp(min=DARKEST) ** exponent - 1
        r = evidence.residual(y_hat, evidence.y)
        return evidence.noise.whiten(r).flatten(1)

    def _blurred(self, img: Tensor, blur: Tensor) -> Tensor:
        """Return measurements `[N, 1, h, w]` of pictures blurred by `blur [N]` pixels of y."""
        frame, R = self.input.frame, img.shape[-1]
        spread = gaussian_matrix(R, blur * (R / frame.side))[:, None]
        luma = torch.einsum("c,nchw->nhw", img.new_tensor(LUMA), img)[:, None]
        d_v, d_h = _rows(frame, self.input.y.shape, R, self.input.side)
        return d_v.to(img) @ (spread @ luma @ spread.mT) @ d_h.to(img).mT


_UNITS = (BLUR_UNIT, GAMMA_UNIT, PAPER_UNIT)


def _meaning(numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    blur, gamma, paper = (numbers * numbers.new_tensor(_UNITS)).exp().unbind(1)
    return USUAL_BLUR * blur, gamma, paper.clamp(max=1.0)


def _rows(frame: Frame, shape: torch.Size, R: int, side: int) -> tuple[Tensor, Tensor]:
    """Return the reductions `[h, R]`, `[w, R]` of a generator's samples."""
    whole = bicubic_matrix(frame.side, side) @ bicubic_matrix(side, R)
    return whole[frame.top : frame.top + shape[2]], whole[frame.left : frame.left + shape[3]]
