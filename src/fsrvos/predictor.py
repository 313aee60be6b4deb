"""A phrase, and a few annotated frames of another clip, to masks in one's own video."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fsrvos.data import captions
from fsrvos.data.collate import collate_clip, collate_support
from fsrvos.data.resizing import resize, resize_frames, resized_size
from fsrvos.data.support_sources import read_support
from fsrvos.data.transforms import normalised
from fsrvos.errors import UserError
from fsrvos.models.cma import CMA
from fsrvos.models.continuity import choose_path
from fsrvos.models.full_size import enlarged, real_cells
from fsrvos.models.hub import fetched
from fsrvos.predictor_settings import Settings, settings_of
from fsrvos.structures import Clip, SupportClip
from fsrvos.support_set import SupportSet, thinned
from fsrvos.video import Frame, Video, open_video
from fsrvos.video_masks import VideoMasks
from fsrvos.weights import load_model, read_weights

JUMP_COST = 1.0
WEIGHTS = (".ckpt", ".pth", ".pt", ".bin", ".safetensors")
SUPPORT_FRAMES = 8


@dataclass
class SegmentedWindow:
    """Some consecutive frames of a video, segmented.

    Attributes:
        frames: The T frames.
        masks: (P, T, H, W) bool at native size, one for each phrase.
        scores: (P, T) class probability of the query that answers.
    """

    frames: list[Frame]
    masks: np.ndarray
    scores: np.ndarray


class Predictor:
    """Segments videos.

    Args:
        model: The network.
        settings: Size and number of the frames that it gets.
        device: Where to run.
        jump_cost: What leaving an object for another from one frame to the next costs, as a sum of scores, also from
            one window to the next; 0: every frame (or, of a network that chooses once a window, every window)
            decides for itself, as in the published system.

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
    ) -> None:
        self.device = checked_device(device)
        if not isinstance(jump_cost, int | float) or not 0 <= jump_cost < float("inf"):
            raise UserError(f"jump_cost must be a number of at least 0, got {jump_cost!r}")
        self.model = model.to(self.device).eval()
        self.settings = settings or Settings()
        self.source: Path | None = None
        self.jump_cost = jump_cost
        self._told: set[str] = set()

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str | torch.device = "cpu",
        jump_cost: float = JUMP_COST,
        **settings: int | None,
    ) -> Self:
        """The predictor of a trained network.

        Args:
            source: Run folder, folder of runs (its newest), .ckpt, .pth, .safetensors, folder of ``save_pretrained``,
                or id of a repository of the Hugging Face hub.
            device: Where to run.
            jump_cost: As for the constructor.
            settings: ``short_side``, ``max_long_side``, ``window``, where they are to differ from those of the training.

        Raises:
            UserError: No such file, folder or repository; one that holds no network.
        """
        device = checked_device(device)
        weights = read_weights(source if Path(source).exists() or is_path(source) else fetched(source))
        chosen = settings_of(weights.file).changed(**settings)
        predictor = cls(load_model(weights), chosen, device=device, jump_cost=jump_cost)
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
        if isinstance(phrase, str | None):
            clips = read_support(source, phrase, object_id)
        else:
            if not isinstance(source, list) or len(source) != len(phrase):
                raise UserError(f"{len(phrase)} phrases of the support need a list of as many sources")
            clips = [
                clip
                for one, its in zip(source, phrase, strict=True)
                for clip in read_support(one, its, object_id)
            ]
        for clip in clips:
            clip.expression = clip.expression.strip() or fallback_phrase.strip()
        if not all(clip.expression for clip in clips):
            raise UserError(f"the support {_named(source)} has no phrase; say what its object is called")
        if not isinstance(frames, int) or frames < 1:
            raise UserError(f"a support needs at least 1 frame of each clip, got frames={frames!r}")
        clips = [thinned(clip, frames) for clip in clips]
        return SupportSet(clips, self._encoded(clips) if self.model.uses_support else None)

    def segment(
        self,
        video: Any,
        phrase: str | Sequence[str],
        support: SupportSet | None = None,
        *,
        rate: float | None = None,
        on_frames: Callable[[int, int | None], None] | None = None,
    ) -> Any:
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
            shown = normalised(resize_frames(pixels, size))
            clips = [self._clip(shown, phrase) for phrase in phrases]
            with torch.no_grad():
                maps = self.model.backbone(clips[0].frames)
                answers = [
                    self._answer(clip, encoded, maps, mask, video.size)
                    for clip, mask in zip(clips, before, strict=True)
                ]
            before = [masks[-1] for masks, _ in answers]
            masks, scores = (torch.stack(parts).numpy() for parts in zip(*answers, strict=True))
            yield SegmentedWindow(taken, masks, scores)

    def window(self, support: SupportSet | None) -> int:
        """Frames at once: the ablations, which add support frame by frame, take no more than that has."""
        if support is None or not self.model.adds_frame_by_frame:
            return self.settings.window
        return min(self.settings.window, *(len(clip.frames) for clip in support.clips))

    def _answer(
        self, clip: Clip, support: Any, maps: list[Tensor], previous: Tensor | None, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Masks (T, H, W) bool at native size, and scores (T,), of one phrase."""
        prediction = self.model(clip, support, maps)
        (height, width), scores = clip.sizes[0].tolist(), prediction.logits[0].sigmoid()
        logits = real_cells(prediction.masks[0], (height, width))
        if previous is not None:
            grid = (logits.shape[-2], logits.shape[-1])
            previous = (F.adaptive_avg_pool2d(previous[None].float(), grid)[0] > 0.5).to(self.device)
        path = choose_path(
            scores, logits > 0, previous, self.jump_cost, frame_by_frame=self.model.choose_per_frame
        )
        frames = torch.arange(len(path), device=path.device)
        chosen = logits[frames, path]
        # Frame by frame, since native frames may be large.
        masks = [(enlarged(cells[None], size)[0] > 0).cpu() for cells in chosen]
        return torch.stack(masks), scores[frames, path].cpu()

    def _clip(self, frames: Tensor, phrase: str) -> Clip:
        return collate_clip(frames, captions.plain(phrase), self._multiple).to(self.device)

    @property
    def _multiple(self) -> int:
        """Networks to which padding matters get none, as in evaluation."""
        return 32 if self.model.pad_support_masks else 1

    def _encoded(self, clips: list[Any]) -> Any:
        resized = []
        for clip in clips:
            height, width = clip.masks.shape[-2:]
            size = resized_size(height, width, self.settings.short_side, self.settings.longest)
            frames, masks = resize(clip.frames, clip.masks, size)
            if not masks.any():
                raise UserError(
                    f"the object {clip.expression!r} of the support is too small: nothing is left of it at "
                    f"{size[1]}x{size[0]}, the size that the network sees; cut the frames around it"
                )
            resized.append(SupportClip(normalised(frames), masks, captions.plain(clip.expression)))
        support = collate_support([resized], self._multiple)
        assert support is not None  # read_support returns at least one clip
        with torch.no_grad():
            return self.model.encode_support(support.to(self.device))

    def _shown(self, support: SupportSet | None) -> Any:
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


def check_phrases(phrases: Sequence[str]) -> None:
    """Finds phrases that say nothing.

    Raises:
        UserError: No phrase, or an empty one.
    """
    if not phrases or any(not isinstance(phrase, str) or not captions.plain(phrase) for phrase in phrases):
        raise UserError(
            'the phrase is empty; say what to segment, such as "the brown dog on the left", or a list of such'
        )


def checked_device(device: str | torch.device) -> torch.device:
    """The device of a name.

    Raises:
        UserError: There is no such device.
    """
    try:
        checked = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"device must be cpu or cuda, got {device!r}") from error
    if checked.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device={device}, but there is no CUDA device here; say device=cpu")
    return checked


def is_path(source: str | Path) -> bool:
    """Whether a name means a place on this disk, there or not, and no repository of the hub."""
    path = Path(source)
    return path.suffix in WEIGHTS or path.is_absolute() or (len(path.parts) > 1 and path.parent.is_dir())


def _named(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else "given"
