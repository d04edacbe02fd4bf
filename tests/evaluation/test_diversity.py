"""Colour differences against the published table, and against scikit-image."""

import numpy as np
import pytest
import torch
from skimage import color
from torch import Tensor

from evaluation.diversity import (
    cie76,
    ciede2000,
    mean_pairwise,
    pairwise_cie76,
    pairwise_ciede2000,
    rgb_to_lab,
    spread_map,
)

# Sharma, Wu and Dalal 2005, table 1, all 34 pairs: L1 a1 b1, L2 a2 b2, CIEDE2000 to 4 decimals
SHARMA = """
50.0000   2.6772 -79.7751  50.0000   0.0000 -82.7485   2.0425
50.0000   3.1571 -77.2803  50.0000   0.0000 -82.7485   2.8615
50.0000   2.8361 -74.0200  50.0000   0.0000 -82.7485   3.4412
50.0000  -1.3802 -84.2814  50.0000   0.0000 -82.7485   1.0000
50.0000  -1.1848 -84.8006  50.0000   0.0000 -82.7485   1.0000
50.0000  -0.9009 -85.5211  50.0000   0.0000 -82.7485   1.0000
50.0000   0.0000   0.0000  50.0000  -1.0000   2.0000   2.3669
50.0000  -1.0000   2.0000  50.0000   0.0000   0.0000   2.3669
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0009   7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0010   7.1792
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0011   7.2195
50.0000   2.4900  -0.0010  50.0000  -2.4900   0.0012   7.2195
50.0000  -0.0010   2.4900  50.0000   0.0009  -2.4900   4.8045
50.0000  -0.0010   2.4900  50.0000   0.0010  -2.4900   4.8045
50.0000  -0.0010   2.4900  50.0000   0.0011  -2.4900   4.7461
50.0000   2.5000   0.0000  50.0000   0.0000  -2.5000   4.3065
50.0000   2.5000   0.0000  73.0000  25.0000 -18.0000  27.1492
50.0000   2.5000   0.0000  61.0000  -5.0000  29.0000  22.8977
50.0000   2.5000   0.0000  56.0000 -27.0000  -3.0000  31.9030
50.0000   2.5000   0.0000  58.0000  24.0000  15.0000  19.4535
50.0000   2.5000   0.0000  50.0000   3.1736   0.5854   1.0000
50.0000   2.5000   0.0000  50.0000   3.2972   0.0000   1.0000
50.0000   2.5000   0.0000  50.0000   1.8634   0.5757   1.0000
50.0000   2.5000   0.0000  50.0000   3.2592   0.3350   1.0000
60.2574 -34.0099  36.2677  60.4626 -34.1751  39.4387   1.2644
63.0109 -31.0961  -5.8663  62.8187 -29.7946  -4.0864   1.2630
61.2901   3.7196  -5.3901  61.4292   2.2480  -4.9620   1.8731
35.0831 -44.1164   3.7933  35.0232 -40.0716   1.5901   1.8645
22.7233  20.0904 -46.6940  23.0331  14.9730 -42.5619   2.0373
36.4612  47.8580  18.3852  36.2715  50.5065  21.2231   1.4146
90.8027  -2.0831   1.4410  91.1528  -1.6435   0.0447   1.4441
90.9257  -0.5406  -0.9208  88.6381  -0.8985  -0.7239   1.5381
 6.7747  -0.2908  -2.4247   5.8714  -0.0985  -2.2286   0.6377
 2.0776   0.0795  -1.1350   0.9033  -0.0636  -0.5514   0.9082
"""
TABLE = np.array([[float(v) for v in line.split()] for line in SHARMA.strip().splitlines()])


def as_picture(lab: np.ndarray) -> Tensor:
    """Return colours [n, 3] as a picture [3, 1, n]."""
    return torch.from_numpy(np.ascontiguousarray(lab.T))[:, None]


def random_lab(seed: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(0, 100, (5000, 1)), spread * rng.normal(size=(5000, 2))], 1)


def random_bytes(n: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 3, 12, 16), generator=generator, dtype=torch.uint8)


def test_ciede2000_equals_the_published_table() -> None:
    assert len(TABLE) == 34
    lab1, lab2 = as_picture(TABLE[:, :3]), as_picture(TABLE[:, 3:6])
    for found in (ciede2000(lab1, lab2), ciede2000(lab2, lab1)):
        assert np.abs(found[0].numpy() - TABLE[:, 6]).max() < 5e-5


@pytest.mark.parametrize("spread", [0.5, 20, 60])
def test_differences_equal_scikit_image(spread: float) -> None:
    lab1, lab2 = random_lab(1, spread), random_lab(2, spread)
    lab1[:50, 1:] = 0  # greys have no hue
    lab2[25:75, 1:] = 0
    found = ciede2000(as_picture(lab1), as_picture(lab2))[0].numpy()
    assert np.abs(found - color.deltaE_ciede2000(lab1, lab2)).max() < 1e-9
    found = cie76(as_picture(lab1), as_picture(lab2))[0].numpy()
    assert np.abs(found - color.deltaE_cie76(lab1, lab2)).max() < 1e-9


def test_lab_equals_scikit_image() -> None:
    levels = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), -1).reshape(-1, 1, 3)
    levels = np.concatenate([levels, np.arange(12).repeat(3).reshape(-1, 1, 3)])  # the linear part
    found = rgb_to_lab(torch.from_numpy(levels / 255).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    # scikit-image rounds the constants of the linear part to 7.787 and 0.008856
    assert np.abs(found - color.rgb2lab(levels / 255)).max() < 5e-4


def test_equal_colours_are_at_no_distance() -> None:
    lab = as_picture(random_lab(3, 40))
    assert ciede2000(lab, lab).max() == 0 and cie76(lab, lab).max() == 0


def test_pairwise_matrix_is_the_mean_over_the_picture() -> None:
    images = random_bytes(4)
    lab = [color.rgb2lab(p.permute(1, 2, 0).numpy()) for p in images]
    by_2000, by_76 = pairwise_ciede2000(images), pairwise_cie76(images)
    for i in range(4):
        for j in range(4):
            expected = color.deltaE_ciede2000(lab[i], lab[j]).mean()
            assert by_2000[i, j].item() == pytest.approx(expected, abs=1e-3)
            expected = color.deltaE_cie76(lab[i], lab[j]).mean()
            assert by_76[i, j].item() == pytest.approx(expected, abs=1e-3)
    pairs = [by_76[i, j].item() for i in range(4) for j in range(i)]
    assert mean_pairwise(by_76) == pytest.approx(np.mean(pairs))


def test_spread_map_is_the_mean_over_pairs_at_every_pixel() -> None:
    images = random_bytes(4)
    images[:, :, 0, 0] = 77  # what all show alike
    lab = [color.rgb2lab(p.permute(1, 2, 0).numpy()) for p in images]
    pairs = [color.deltaE_ciede2000(lab[i], lab[j]) for i in range(4) for j in range(i)]
    found = spread_map(images)
    np.testing.assert_allclose(found, np.mean(pairs, axis=0), atol=1e-3)
    assert found[0, 0] == 0
    assert found.mean().item() == pytest.approx(mean_pairwise(pairwise_ciede2000(images)))


def test_bytes_and_scaled_pictures_give_the_same() -> None:
    images = random_bytes(3)
    scaled = images.float() / 127.5 - 1
    torch.testing.assert_close(
        pairwise_ciede2000(scaled), pairwise_ciede2000(images), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(
        pairwise_cie76(scaled.where(images < 255, 3.0)), pairwise_cie76(images), rtol=0, atol=1e-3
    )


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Give \[N, 3, H, W\]"):
        pairwise_cie76(torch.zeros(3, 8, 8))
