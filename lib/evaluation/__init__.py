"""Scores, tests, figures and pages; no room here imports Keras."""
