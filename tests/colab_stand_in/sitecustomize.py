"""Makes every kernel one of Colab, and a folder as slow as Google Drive, and writes down every access to it.

Every Python process that has this folder in PYTHONPATH begins here, kernels included. Each
opened or listed file below STAND_IN_MOUNT costs 20 ms and a line in STAND_IN_LOG. The process that
begins to write its STAND_IN_KILL-th checkpoint is killed there, with the one that started it. In
Colab the environment of Python does not lie inside the project.
"""

import os
import signal
import sys
import time

MOUNT = os.environ["STAND_IN_MOUNT"] + os.sep
LOG = os.open(os.environ["STAND_IN_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
KILL = int(os.environ.get("STAND_IN_KILL", "0"))
checkpoints = 0


def notice(event, arguments):
    global checkpoints
    if event not in ("open", "os.listdir", "os.scandir"):
        return
    if not isinstance(arguments[0], str | os.PathLike):
        return
    path = os.fspath(arguments[0])
    if not path.startswith(MOUNT):
        return
    time.sleep(0.02)
    writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    os.write(
        LOG, f"{'write' if writes else 'read'} {path.removeprefix(MOUNT)}\n".encode()
    )
    checkpoints += bool(writes) and "/checkpoints/" in path
    if KILL and checkpoints == KILL:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(notice)
if any("ipykernel" in word for word in sys.orig_argv):
    import google.colab  # noqa: F401

    sys.prefix = sys.base_prefix
