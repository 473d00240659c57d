"""The account's files lie in STAND_IN_DRIVE until they are mounted."""

import os


def mount(mountpoint):
    os.rename(os.environ["STAND_IN_DRIVE"], mountpoint)


def flush_and_unmount():
    os.rename(os.environ["STAND_IN_MOUNT"], os.environ["STAND_IN_DRIVE"])
