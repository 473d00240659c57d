"""The account's files lie in STAND_IN_DRIVE until they are mounted; without it a person refuses."""

import os


def mount(mountpoint):
    if "STAND_IN_REFUSED" in os.environ:
        raise ValueError("mount failed")
    os.rename(os.environ["STAND_IN_DRIVE"], mountpoint)


def flush_and_unmount():
    os.rename(os.environ["STAND_IN_MOUNT"], os.environ["STAND_IN_DRIVE"])
