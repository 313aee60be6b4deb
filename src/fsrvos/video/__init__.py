"""Reads and writes videos, one frame at a time, so that memory does not grow with their length.

``open_video`` takes a video file, an animation, a folder of images, an image, an array or a list of images;
``VideoWriter`` writes an mp4; ``read_image`` reads one still with the same care.
"""

from fsrvos.video.opening import open_video
from fsrvos.video.source import Frame, Video
from fsrvos.video.stills import read_image
from fsrvos.video.writer import VideoWriter

__all__ = ["Frame", "Video", "VideoWriter", "open_video", "read_image"]
