"""The source systems in figures: what each one sees, answers, is made of and is trained with.

What their authors left open, or contradict themselves about, is decided here; docs/baselines.md
says what and why.
"""

from __future__ import annotations

from dataclasses import dataclass

from baselines.patchgan import PATCH_70, WHOLE
from stylegan.config import ConfigError, require_range

SEES = ("grey", "canny", "xdog", "sketch", "lightness")
ANSWERS = {"rgb": 3, "ab": 2}  # channels
CUES = ("none", "blurred")
LOSSES = ("l1", "l2")
JUDGES = ("none", "patch", "whole")  # of 70x70 pixels; of strided convolutions alone
LEAST_HALVINGS, MOBILENET_HALVINGS = 4, 5
SIDES = (1 << LEAST_HALVINGS, 1 << 11)  # least and most, in pixels


@dataclass(frozen=True)
class ColorizerConfig:
    """One colouriser: everything but how long it is trained.

    Raises:
        ConfigError: a value is out of range, or the side cannot be halved often enough.
    """

    name: str
    side: int = 64  # of the pictures, in pixels
    sees: str = "grey"  # one of SEES
    cue: str = "none"  # one of CUES: 'blurred' shows the colours as well, blurred beyond shape
    answers: str = "rgb"  # one of ANSWERS; 'ab' is joined to the lightness that it saw
    enlarges: bool = False  # whether a first network makes the small input large
    depth: int = 12  # halvings of the U-Net, as far as the side allows
    width: int = 64  # channels of the first layer
    dropout: int = 0  # doublings of the U-Net with dropout
    mobilenet: bool = False  # MobileNetV2 as the way down
    judge: str = "patch"  # one of JUDGES
    judge_dropout: float = 0.0
    loss: str = "l1"  # one of LOSSES
    loss_weight: float = 100.0  # against 1 of the judge, where there is one
    lr: float = 2e-4  # of Adam, both networks
    beta1: float = 0.5
    batch: int = 16
    init_std: float = 0.02  # of all convolutions
    mirror: bool = False  # half of the pictures, at random
    densest: float = 1.0  # share of ink above which a picture is not learned from

    def __post_init__(self) -> None:
        for name, known in (
            ("sees", SEES),
            ("cue", CUES),
            ("answers", tuple(ANSWERS)),
            ("judge", JUDGES),
            ("loss", LOSSES),
        ):
            if getattr(self, name) not in known:
                found = f"{name} is {getattr(self, name)!r:.40}"
                raise ConfigError(f"{found}; it must be one of {', '.join(known)}.")
        require_range("side", self.side, int, *SIDES)
        require_range("batch", self.batch, int, 2, 1 << 16)
        if self.halvings < (least := MOBILENET_HALVINGS if self.mobilenet else LEAST_HALVINGS):
            what = f"pictures of {self.side} pixels a side; {self.name} halves them {least} times"
            raise ConfigError(f"{what}. Use a multiple of {1 << least}.")
        if self.answers == "ab" and self.sees != "lightness":
            what = f"{self.name} joins a and b to the lightness it sees; it cannot see {self.sees}"
            raise ConfigError(f"{what}. Leave --input out.")
        if self.mobilenet and self.cue != "none":
            raise ConfigError(f"{self.name} sees grey alone, through MobileNetV2. Leave --cue out.")

    @property
    def halvings(self) -> int:
        """Return how often the U-Net halves the picture."""
        return min(self.depth, (self.side & -self.side).bit_length() - 1)

    @property
    def label(self) -> str:
        """Return the preset's name, and what of the input is not as the preset has it."""
        preset = PRESETS.get(self.name, self)
        changes = [self.sees] if self.sees != preset.sees else []
        for part in ("cue", "judge"):
            if (own := getattr(self, part)) != getattr(preset, part):
                changes.append(f"no-{part}" if own == "none" else part)
        return "-".join([self.name, *changes])

    @property
    def given_side(self) -> int:
        """Return the side of the grey pictures that it is usually given."""
        return self.side // 2 if self.enlarges else self.side

    @property
    def seen_channels(self) -> int:
        """Return the channels of what the colouriser sees: grey or lines, and the cue."""
        return 1 + (3 if self.cue == "blurred" else 0)

    @property
    def strides(self) -> tuple[int, ...]:
        """Return the strides of the discriminator; none: there is none."""
        whole = WHOLE[: self.side.bit_length() - 1]
        return {"none": (), "patch": PATCH_70, "whole": whole}[self.judge]


PRESETS = {
    preset.name: preset
    for preset in (
        # ConvNet against GAN on cartoon frames, Stanford; its batches were of 64
        ColorizerConfig("convnet", depth=6, judge="none", loss="l2", beta1=0.9),
        ColorizerConfig("cgan", depth=6, judge="whole"),
        # MikeDegany/ImageColorizer, and the cascade that it names as its next step
        ColorizerConfig("lab", sees="lightness", answers="ab", mirror=True),
        ColorizerConfig("cascade", sees="lightness", answers="ab", mirror=True, enlarges=True),
        # DeanHazineh/Deep-Learning-Color-for-Manga
        ColorizerConfig("cue", sees="sketch", cue="blurred", dropout=3, batch=4, densest=0.4),
        # The manga page blog: its last system
        ColorizerConfig("page", depth=5, mobilenet=True, judge_dropout=0.25, init_std=0.01),
    )
}
