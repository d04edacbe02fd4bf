"""The encoder: from a small grey picture to where in the latent space it probably lies."""

from encoder.model import Encoder, EncoderConfig, load_encoder

__all__ = ["Encoder", "EncoderConfig", "load_encoder"]
