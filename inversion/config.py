"""Options of an inversion."""

from dataclasses import dataclass


@dataclass(frozen=True)
class InversionConfig:
    """How candidates are solved for. Pictures and measurements are in [-1, 1].

    Raises:
        ValueError: a value is out of range.
    """

    num_steps: int = 80  # most steps per candidate, each one evaluation of the generator
    tolerance: float = (
        0.5  # nats of log posterior; a candidate that promises less to gain has ended
    )
    tau: float = 0.06  # standard deviation of the picture's own error, per pixel and colour
    sigma: float = 0.03  # standard deviation of the measurement, 0.03 = 4 grey levels
    delta_std: float = 0.5  # prior standard deviation of each layer's own share of the latent
    output_side: int = 256  # least side of finished pictures, in pixels
    chunk: int = 4  # candidates solved together; always this many, so that none depends on K
    precision: str = "fp32"  # of the steps; the picture itself is always float32

    def __post_init__(self) -> None:
        for name in ("num_steps", "delta_std", "output_side", "chunk"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive.")

    def finished_side(self, img_resolution: int) -> int:
        """Return the side of the finished pictures of a generator of side `img_resolution`."""
        return max(img_resolution, self.output_side)
