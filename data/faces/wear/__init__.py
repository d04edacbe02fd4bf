"""Clothes, hats and ornaments."""
