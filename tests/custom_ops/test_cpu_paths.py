"""Which calls the compiled paths take, and that threads do not change the answer."""

import torch

from custom_ops import filtered_lrelu, upfirdn2d


def test_the_number_of_threads_does_not_change_a_bit():
    f = torch.rand(5, 6, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 20, 40, 30, generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(filtered_lrelu(x, None, f, down=2, clamp=1, impl="cpu"))
            results.append(upfirdn2d(x, f, 2, [2, 1], 3, impl="cpu"))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(y, results[i % 2]) for i, y in enumerate(results))


def test_auto_takes_the_compiled_path_where_it_is_faster():
    f = torch.rand(6, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 16, 9, 9, generator=torch.Generator().manual_seed(1))
    for filters, down in ((f, 1), (f[:4], 2)):
        y = x.contiguous(memory_format=torch.channels_last)
        auto, compiled = (upfirdn2d(y, filters, 1, down, 3, impl=i) for i in ("auto", "cpu"))
        assert torch.equal(auto, compiled)
    few = upfirdn2d(x[:, :3], f, padding=3)
    assert torch.equal(few, upfirdn2d(x[:, :3], f, padding=3, impl="ref"))
