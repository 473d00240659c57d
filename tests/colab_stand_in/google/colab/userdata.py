"""Secrets, taken from the environment."""

import os


def get(key):
    return os.environ[f"STAND_IN_SECRET_{key}"]
