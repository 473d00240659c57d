"""The data wing: what is learned from. It knows no model."""

import os

# What OpenCV has to say about a damaged file becomes a recorded word; read when it is imported.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
