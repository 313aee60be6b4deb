"""A phrase, and a few annotated frames of another clip, to masks in one's own video."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import torch
from torch import Tensor

from fsrvos.data.resizing import resize_frames, resized_size
from fsrvos.data.transforms import normalised
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.compiling import check_compiler, compile_blocks
from fsrvos.models.foreground import EncodedSupport
from fsrvos.models.hub import fetched
from fsrvos.ops.precision import computing
from fsrvos.predictor_checks import check_phrases, checked_cost, checked_device, checked_precision, is_path
from fsrvos.predictor_settings import Settings, settings_of
from fsrvos.support_set import SupportSet, encode_clips, read_clips, thinned
from fsrvos.video import Video, open_video
from fsrvos.video_masks import VideoMasks
from fsrvos.weights import load_model, read_weights
from fsrvos.windows import SegmentedWindow, segment_window

JUMP_COST = 1.0
SUPPORT_FRAMES = 8


class Predictor:
    """Segments videos.

    Args:
        model: The network.
        settings: Size and number of the frames that it gets.
        device: Where to run.
        jump_cost: What leaving an object for another from one frame to the next costs, as a sum of scores, also from
            one window to the next; 0: every frame (or, of a network that chooses once a window, every window)
            decides for itself, as in the published system.
        precision: ``"32-true"``; ``"bf16-mixed"`` or, on a GPU, ``"16-mixed"``, which are faster and less exact.
        compile: Have the network's blocks compiled at the first window, which takes minutes and pays for long videos
            only, if at all (docs/performance.md).

    Attributes:
        model: The network, in evaluation mode.
        settings: As given.
        source: The file of weights, where the network came from one.
    """

    def __init__(
        self,
        model: CMA,
        settings: Settings | None = None,
        *,
        device: str | torch.device = "cpu",
        jump_cost: float = JUMP_COST,
        precision: str = "32-true",
        compile: bool = False,
    ) -> None:
        self.device = checked_device(device)
        self.precision = checked_precision(precision, self.device)
        self.model = model.to(self.device).eval()
        self.settings = settings or Settings()
        self.source: Path | None = None
        self.jump_cost = checked_cost(jump_cost)
        self._told: set[str] = set()
        if compile:
            check_compiler(self.device)
            compile_blocks(self.model)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str | torch.device = "cpu",
        jump_cost: float = JUMP_COST,
        precision: str = "32-true",
        compile: bool = False,
        **settings: int | None,
    ) -> Self:
        """The predictor of a trained network.

        Args:
            source: Run folder, folder of runs (its newest), .ckpt, .pth, .safetensors, folder of ``save_pretrained``,
                or id of a repository of the Hugging Face hub.
            device: Where to run.
            jump_cost, precision, compile: As for the constructor.
            settings: ``short_side``, ``max_long_side``, ``window``, where they are to differ from those of the training.

        Raises:
            UserError: No such file, folder or repository; one that holds no network.
        """
        device = checked_device(device)
        checked_precision(precision, device)
        weights = read_weights(source if Path(source).exists() or is_path(source) else fetched(source))
        chosen = settings_of(weights.file).changed(**settings)
        predictor = cls(
            load_model(weights),
            chosen,
            device=device,
            jump_cost=jump_cost,
            precision=precision,
            compile=compile,
        )
        predictor.source = weights.file
        return predictor

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the network with its settings; ``from_pretrained`` reads both again."""
        self.model.save_pretrained(folder)
        self.settings.save(Path(folder))

    def support(
        self,
        source: Any,
        phrase: str | Sequence[str] | None = None,
        object_id: str | int | None = None,
        *,
        frames: int = SUPPORT_FRAMES,
        fallback_phrase: str = "",
    ) -> SupportSet:
        """Reads and encodes annotated clips, once for all videos and phrases.

        Args:
            source: Folder or file in one of the formats of docs/support.md; a pair of arrays, frames (S, H, W, 3) uint8
                and masks (S, H, W); or a list of such.
            phrase: What the annotated object is called, or one for each source of a list; None: the annotations say.
            object_id: Which object, where the masks hold several.
            frames: Annotated frames of a clip that are used at most, spread evenly over those that show the object.
            fallback_phrase: The phrase where neither ``phrase`` nor the annotations say one.

        Raises:
            UserError: Nothing usable there, several objects and none chosen, or no phrase.
        """
        every = read_clips(source, phrase, object_id, fallback_phrase)
        if not isinstance(frames, int) or frames < 1:
            raise UserError(f"a support needs at least 1 frame of each clip, got frames={frames!r}")
        clips = [thinned(clip, frames) for clip in every]
        for clip, used in zip(every, clips, strict=True):
            if used is not clip:
                has = f"the support {clip.expression!r} has {len(clip.frames)} annotated frames"
                warnings.warn(f"{has}: {len(used.frames)} of them are used", stacklevel=2)
        with computing(self.precision, self.device):
            encoded = encode_clips(self.model, clips, self.settings) if self.model.uses_support else None
        return SupportSet(clips, encoded)

    @overload
    def segment(
        self, video: Any, phrase: str, support: SupportSet | None = None, *, rate: float | None = None,
        on_frames: Callable[[int, int | None], None] | None = None,
    ) -> VideoMasks: ...  # fmt: skip

    @overload
    def segment(
        self, video: Any, phrase: Sequence[str], support: SupportSet | None = None, *, rate: float | None = None,
        on_frames: Callable[[int, int | None], None] | None = None,
    ) -> list[VideoMasks]: ...  # fmt: skip

    def segment(
        self,
        video: Any,
        phrase: str | Sequence[str],
        support: SupportSet | None = None,
        *,
        rate: float | None = None,
        on_frames: Callable[[int, int | None], None] | None = None,
    ) -> VideoMasks | list[VideoMasks]:
        """Segments a video.

        Args:
            video: Whatever ``fsrvos.video.open_video`` takes: a file, a folder of images, an array (T, H, W, 3), a list
                of PIL images; or a video that it opened.
            phrase: What to segment, or several, which share one pass over the video.
            support: What ``support`` returned; None: the phrase alone.
            rate: Frames per second of what has none.
            on_frames: Told (done, total) after every window; total is None where it is not known.

        Returns:
            ``VideoMasks``, or a list of them for a list of phrases.

        Raises:
            UserError: A video that cannot be read, or an empty phrase.
        """
        opened = video if isinstance(video, Video) else open_video(video, rate)
        phrases = [phrase] if isinstance(phrase, str) else list(phrase)
        results = [VideoMasks(one, opened) for one in phrases]
        for window in self.stream(opened, phrases, support):
            for result, masks, scores in zip(results, window.masks, window.scores, strict=True):
                result.add(window.frames, masks, scores)
            if on_frames is not None:
                on_frames(len(results[0].frame_names), opened.count)
        return results[0] if isinstance(phrase, str) else results

    def stream(
        self,
        video: Video,
        phrases: Sequence[str],
        support: SupportSet | None = None,
        *,
        start: int = 0,
        previous: np.ndarray | None = None,
    ) -> Iterator[SegmentedWindow]:
        """The same window by window: memory does not grow with the video.

        Args:
            video: An opened video.
            phrases: P phrases.
            support: As for ``segment``.
            start: The first frame to segment.
            previous: (P, H, W) bool, the masks of the frame before that; None at the start of a video.

        Raises:
            UserError: As for ``segment``.
        """
        check_phrases(phrases)
        encoded = self._shown(support)
        size = resized_size(*video.size, self.settings.short_side, self.settings.longest)
        window, frames = self.window(support), video.frames(start)
        before: list[Tensor | None] = [None] * len(phrases)
        if previous is not None:
            before = [torch.from_numpy(mask) for mask in previous]
        while taken := list(islice(frames, window)):
            pixels = torch.from_numpy(np.stack([frame.pixels for frame in taken])).permute(0, 3, 1, 2)
            with computing(self.precision, self.device):
                masks, scores = segment_window(
                    self.model, normalised(resize_frames(pixels, size)), list(phrases), encoded, before, video.size,
                    self.jump_cost,
                )  # fmt: skip
            before = list(masks[:, -1])
            yield SegmentedWindow(taken, masks.numpy(), scores.numpy())

    def window(self, support: SupportSet | None) -> int:
        """Frames at once: the ablations, which add support frame by frame, take no more than that has."""
        if support is None or not self.model.adds_frame_by_frame:
            return self.settings.window
        return min(self.settings.window, *(len(clip.frames) for clip in support.clips))

    def _shown(self, support: SupportSet | None) -> EncodedSupport | None:
        if support is not None and not isinstance(support, SupportSet):
            raise UserError(
                f"support must be what Predictor.support returns, got {type(support).__name__}; "
                'say support=predictor.support("FOLDER", "a phrase")'
            )
        if support is None and self.model.uses_support:
            self._tell(
                "no support is given: the phrase alone says what to segment, which is known to do worse"
            )
        if support is not None and not self.model.uses_support:
            self._tell(f"a network of the variant {self.model.variant} reads no support: it is left out")
        return None if support is None else support.encoded

    def _tell(self, message: str) -> None:
        """Warns, once."""
        if message not in self._told:
            self._told.add(message)
            warnings.warn(message, stacklevel=4)
