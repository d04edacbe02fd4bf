"""Evaluation: numbers that say how good, how faithful and how varied pictures are."""
