"""Colours under the user's control: each control is one more piece of evidence for the solver."""
