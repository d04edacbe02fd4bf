"""Inversion: from a small grey picture to latents whose pictures agree with it."""
