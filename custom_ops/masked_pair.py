"""Derivatives of a compiled filtered leaky ReLU: two operators, each other's derivatives.

`forward(x, b, ...) -> y, mask` and, for a stored mask, the linear map
`masked(x, b, mask, ..., adjoint) -> y, sums` with `y = M (x + b)` or `M^T (x + b)` and `sums` the
sum of y per channel. M is what the forward pass does to a small change of its input. Adding b to
every pixel and summing over pixels are adjoint, so the derivative of the second operator is the
second operator transposed: derivatives of every order stay compiled and exact.
"""

from typing import Any

from torch import Tensor


def register_derivatives(forward: Any, masked: Any, modulate_grad: Any = None) -> None:
    """Make the two custom operators differentiable.

    Args:
        forward: `(x, b, fu, fd, up, down, padding, gain, slope, clamp, flip, save)`, and `scale`
            if `modulate_grad` is given: factors on x before the bias.
        masked: `(x, b, mask, fu, fd, up, down, padding, size, gain, slope, flip, adjoint)`.
        modulate_grad: `(dy, x, scale, padding)`, the derivatives of `x scale` to both.
    """

    def forward_backward(ctx: Any, dy: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        if not ctx.saved:
            raise RuntimeError("filtered_lrelu: save=False keeps nothing to differentiate")
        mask, fu, fd, *scaled = ctx.saved_tensors
        dx, db = masked(dy, None, mask, fu, fd, *ctx.args, True)
        dscale = [None] if modulate_grad else []
        if scaled:
            dx, *dscale = modulate_grad(dx, *scaled, 0)
        return dx, db if ctx.has_bias else None, *[None] * 10, *dscale

    def masked_backward(ctx: Any, dy: Tensor, dsums: Tensor) -> tuple[Tensor | None, ...]:
        dx, db = masked(dy, dsums, *ctx.saved_tensors, *ctx.args, not ctx.adjoint)
        return dx, db if ctx.has_bias else None, *[None] * 11

    forward.register_autograd(forward_backward, setup_context=_save_forward)
    masked.register_autograd(masked_backward, setup_context=_save_masked)


def _save_forward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, b, fu, fd, up, down, padding, gain, slope, _, flip, save, *scale = inputs
    scaled = [] if not scale or scale[0] is None else [x, scale[0]]
    ctx.save_for_backward(output[1], fu, fd, *scaled)
    ctx.mark_non_differentiable(output[1])
    ctx.has_bias, ctx.saved = b is not None, save
    ctx.args = up, down, padding, list(x.shape[2:]), gain, slope, flip


def _save_masked(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, b, mask, fu, fd, *args, adjoint = inputs
    ctx.save_for_backward(mask, fu, fd)
    ctx.has_bias, ctx.args, ctx.adjoint = b is not None, args, adjoint
