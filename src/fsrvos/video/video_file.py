"""Video files. PyAV reads the header and rules; decord decodes where it gives the same frames, faster.

What decord 0.6 was measured to do, and what follows:

- Its memory stays constant over 10,000 frames read in order, and of 210 cut or altered files none crashed it or
  made it hang. So it decodes where it can.
- It turns a video by its display matrix, but garbles the pixels of quarter turns; its colours of 10 bits differ;
  it has no timestamps of AVI. PyAV decodes those.
- It cannot open most damaged files (nor AV1), and puts copies in place of frames that it cannot decode. Where it
  fails, PyAV goes on at that frame, so that the frames are the same with and without decord.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

from fsrvos.errors import UserError
from fsrvos.video.completeness import is_cut_off, lacks_index
from fsrvos.video.decord_file import decord_frames
from fsrvos.video.pyav_file import DamagedError, pyav_frames, read_header
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
        if self._header.plain and self.count is not None:
            for time, pixels in decord_frames(self._path, start, self.size, self.count):
                yield Frame(index, frame_name(index), time, pixels)
                index += 1
        if index != self.count:
            try:
                for time, pixels in pyav_frames(self._path, index, self.rate):
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
