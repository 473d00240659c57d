"""Pictures, their labels and the split; no room here knows a model."""

import os

# What OpenCV has to say about a damaged file becomes a recorded word; read when it is imported.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
