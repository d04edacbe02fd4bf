"""Signal operations of alias-free generators: resampling filters, biased activations, factors.

The four functions below are the whole public interface. Each has a `ref` path in plain torch (any
device, any floating type, derivatives of any order). `impl='auto'` takes the compiled path of the
signal's device, 'cpu' or 'cuda', where it covers the call and can be built, and else `ref`; the
environment variable `IRODORI_OPS` (`ref`, `cpu` or `cuda`) replaces 'auto', see `dispatch`.
"""

from custom_ops.bias_act import bias_act
from custom_ops.errors import OpsError
from custom_ops.filtered_lrelu import filtered_lrelu
from custom_ops.modulate import modulate
from custom_ops.upfirdn2d import upfirdn2d

__all__ = ["OpsError", "bias_act", "filtered_lrelu", "modulate", "upfirdn2d"]
