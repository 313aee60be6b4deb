"""Video files, through PyAV alone. Decord 0.6 was measured for the same work, and is not used:

- It decodes ahead of its reader without bound. On 3,000 frames of 640x480, read at two a second, its process grew
  from 200 to 1,650 MB in twelve frames; a network is slower than that. PyAV's stays where it begins.
- It garbles, in silence, videos with a display matrix of a quarter turn and frames of fewer than some 80 columns,
  depending on their width; odd sizes and 10 bits get other colours along the edge or all over.
- It puts copies in place of frames that it cannot decode, has timestamps in single precision only (none in AVI),
  and cannot open AV1 or most damaged files. None of 210 damaged ones crashed it or made it hang.
- On one thread it takes about as long: a third more at 224x160, the same at 1280x720, a fifth less at 640x480.

Elsewhere both give the same frames, to the last bit; the tests compare them where decord is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

from fsrvos.errors import UserError
from fsrvos.video.completeness import is_cut_off, lacks_index
from fsrvos.video.pyav_file import DamagedError, NoDecoderError, pyav_frames, read_header
from fsrvos.video.source import Frame, Video, frame_name, too_large


class VideoFile(Video):
    """A file with a video stream; of several, the one that players show (the largest).

    A file whose header does not say how many frames it has (mkv, webm, avi) is read through once, without
    decoding. Timestamps are kept, so a variable frame rate is too. Pixels are taken as square. Decoding runs on
    one thread.

    Where the data is cut off or damaged, ``frames`` delivers what precedes and then raises a UserError that
    says after how many frames. A cut mp4 whose index lies at its end cannot be opened at all.

    Args:
        path: The file.
        rate: Frames per second, where nothing in the file tells.

    Raises:
        UserError: Not a video, no frame that decodes, or frames of over 64 megapixels.
    """

    def __init__(self, path: Path, rate: float) -> None:
        try:
            header = read_header(path)
        except av.error.FFmpegError as error:
            raise UserError(_unreadable(path)) from error
        except DamagedError as error:
            raise UserError(
                f"{path}: holds no frame that can be decoded; copy or download it again, or convert it to mp4"
            ) from error
        except NoDecoderError as error:
            raise UserError(f"{path}: its codec is unknown here; convert it to mp4 with H.264") from error
        if header is None:
            raise UserError(f"{path}: has no video stream, only sound or text; give a file with a picture")
        height, width = header.size
        if too_large(width, height):
            raise UserError(f"{path}: has frames of {width}x{height}, over 64 megapixels; scale it down")
        self.name, self._path, self._header = path.stem, path, header
        self.size, self.count, self.rate = header.size, header.count, header.rate or rate

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """See ``Video.frames``."""
        index = start
        try:
            for time, pixels in pyav_frames(self._path, start, self.rate):
                yield Frame(index, frame_name(index), time, pixels)
                index += 1
        except DamagedError as error:
            raise UserError(self._ends_early(index)) from error
        if is_cut_off(self._path) and not (self._header.declared and index == self.count):
            raise UserError(self._ends_early(index))

    def _ends_early(self, delivered: int) -> str:
        promised = f" of {self.count}" if self._header.declared else ""
        return (
            f"{self._path}: is cut off or damaged after {delivered}{promised} frames; copy or download it again, or"
            " use the frames before"
        )


def _unreadable(path: Path) -> str:
    if lacks_index(path):
        return (
            f"{path}: is cut off: its index (moov), which comes last, is missing; copy or download it again"
        )
    return f"{path}: is not a video that can be read; give a whole mp4, mov, mkv, webm or avi, or a folder of images"
