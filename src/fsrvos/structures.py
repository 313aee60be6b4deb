"""The types that flow through the library, and the one legend of shapes.

Letters, everywhere in fsrvos:

    B  episodes in a batch          N  support clips in a batch (any number per episode)
    T  query frames                 S  support frames of one clip
    Q  queries (object hypotheses)  L  words, special tokens included
    C  channels                     H W  pixels, h w  feature cells

Padding masks are True where padded. Boxes are ``cxcywh`` in [0, 1] of the unpadded frame unless a name
says otherwise. Data flows annotation -> episode -> batch -> features -> affinity -> transformer ->
masks -> scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

from torch import Tensor


class Movable:
    """Gives a dataclass of tensors (nested, optional, in lists) ``to`` and ``pin_memory``."""

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves every tensor inside, as ``torch.Tensor.to``; everything else is shared."""
        return self._each(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> Self:
        """Pins every tensor inside, as a ``DataLoader`` asks for it before a copy to the GPU."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        def changed(value: Any) -> Any:
            if isinstance(value, Tensor):
                return change(value)
            if isinstance(value, Movable):
                return value._each(change)
            if isinstance(value, list):
                return [changed(item) for item in value]
            return value

        assert is_dataclass(self)
        return replace(self, **{f.name: changed(getattr(self, f.name)) for f in fields(self)})


@dataclass(frozen=True)
class ClipSpec:
    """Names one annotated object in some frames of one video, without reading a pixel.

    Attributes:
        video: Video id (a folder name below the data root).
        object_id: Object id as it stands in the JSON files, such as ``"1"``.
        expression_id: Key of the expression in ``meta_expressions.json``.
        expression: The phrase itself.
        frames: Frame names without suffix, in order.
    """

    video: str
    object_id: str
    expression_id: str
    expression: str
    frames: tuple[str, ...]


@dataclass(frozen=True)
class EpisodeSpec:
    """One episode as a pure function of (seed, epoch, index): what to read, not yet read.

    Attributes:
        index: Position in its epoch (training) or in the list of test episodes.
        category: Name of the category that query and support share.
        query: The clip to segment.
        support: The annotated clips of the category, from other videos; empty for no support.
        seed: Seed of everything random about this episode (augmentation included).
    """

    index: int
    category: str
    query: ClipSpec
    support: tuple[ClipSpec, ...]
    seed: int = 0


@dataclass
class Rivals(Movable):
    """Other objects of the category in the query's frames, and what is said of them and of the query's own object.

    Attributes:
        masks: (B, T, K, H, W) bool, empty where there is no such object.
        boxes: (B, T, K, 4), as those of ``Targets``.
        phrases: P phrases, at least one an episode.
        owner: (P,) int64, episode of each phrase.
        about: (P,) int64, which object a phrase is about: 0 for the query's own, 1 to K for a rival.
    """

    masks: Tensor
    boxes: Tensor
    phrases: list[str]
    owner: Tensor
    about: Tensor


@dataclass
class Targets(Movable):
    """Truth of the query clips.

    Attributes:
        masks: (B, T, H, W) bool, padded with False as the frames are.
        boxes: (B, T, 4) cxcywh of the mask's extent (max - min, in pixels) over the unpadded size; zeros where
            the object is not visible.
        is_visible: (B, T) bool.
        rivals: Other objects, where they are asked for.
    """

    masks: Tensor
    boxes: Tensor
    is_visible: Tensor
    rivals: Rivals | None = None


@dataclass
class Tokens(Movable):
    """Token ids of a batch of phrases.

    Attributes:
        ids: (B, L) int64.
        padding_mask: (B, L) bool.
    """

    ids: Tensor
    padding_mask: Tensor


@dataclass
class Clip(Movable):
    """A batch of clips, each with its phrase.

    Attributes:
        frames: (B, T, 3, H, W) float32, ImageNet-normalised, zero where padded.
        padding_mask: (B, T, H, W) bool; a frame that is padded whole is no frame at all.
        sizes: (B, 2) int64, height and width before padding.
        expressions: B phrases.
        tokens: The phrases already tokenised; made by the text encoder when None.
    """

    frames: Tensor
    padding_mask: Tensor
    sizes: Tensor
    expressions: list[str]
    tokens: Tokens | None = None


@dataclass
class Support(Clip):
    """Annotated clips: a batch of N clips (B of ``Clip`` reads N, T reads S), each owned by one episode.

    Attributes:
        masks: (N, S, H, W) bool, padded with False.
        owner: (N,) int64, index in the batch of the episode that each clip supports, non-decreasing.
    """

    masks: Tensor = None  # type: ignore[assignment]
    owner: Tensor = None  # type: ignore[assignment]


@dataclass
class Episode:
    """One episode read and transformed, unpadded, as the data set returns it.

    Attributes:
        spec: What was read.
        frames: (T, 3, H, W) float32, normalised.
        masks: (T, H, W) bool: the target at the same size.
        is_visible: (T,) bool.
        expression: The phrase after augmentation.
        support: The support clips, each as ``SupportClip``; empty for no support.
        native_size: (H0, W0) of the video on disk.
        rivals: (K, T, H, W) bool: other objects of the category in the query's frames, empty ones up to K; None if not
            asked for.
        said: Phrases, each with the object that it is about (0 for the query's own, 1 to K for a rival).
        unread: Files that could not be read, a line for each, so that this episode stands for another one.
    """

    spec: EpisodeSpec
    frames: Tensor
    masks: Tensor
    is_visible: Tensor
    expression: str
    support: list[SupportClip]
    native_size: tuple[int, int]
    rivals: Tensor | None = None
    said: list[tuple[str, int]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@dataclass
class SupportClip:
    """One annotated support clip, unpadded: frames (S, 3, H, W) float32 normalised, masks (S, H, W) bool."""

    frames: Tensor
    masks: Tensor
    expression: str


@dataclass
class Batch(Movable):
    """Episodes collated: what a network takes.

    Attributes:
        query: B query clips.
        support: N support clips, or None when no episode has one.
        targets: Truth, or None in prediction.
        specs: B episode specs.
        native_sizes: B sizes (H0, W0) of the videos on disk.
        unread: A line for each file that could not be read, so that another episode was.
    """

    query: Clip
    support: Support | None
    targets: Targets | None
    specs: list[EpisodeSpec] = field(default_factory=list)
    native_sizes: list[tuple[int, int]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@dataclass
class Prediction(Movable):
    """What one decoder layer says.

    Attributes:
        logits: (B, T, Q) class logits: is this query the referred object, frame by frame.
        boxes: (B, T, Q, 4) cxcywh in [0, 1].
        masks: (B, T, Q, h, w) mask logits at stride 4, or (B, T, 1, h, w) of the chosen query at inference.
        auxiliary: The same of the earlier decoder layers, first to last.
        matches: How the clip matches its support at strides 8, 16, 32, 64, of a network whose affinity may rest.
    """

    logits: Tensor
    boxes: Tensor
    masks: Tensor
    auxiliary: list[Prediction] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)


@dataclass
class Match(Movable):
    """Cross-affinity of one level, as its losses read it.

    Attributes:
        logits: (B, T, h, w) how well a position matches the support's object.
        asked: (B, T, h, w, c) what the positions ask the support's keys with.
        prototypes: (B, c) mean key of the support's object; zeros without support.
    """

    logits: Tensor
    asked: Tensor
    prototypes: Tensor


@dataclass
class Segmentation(Movable):
    """The answer for clips: the chosen queries' masks.

    Attributes:
        masks: (B, T, h, w) mask logits at stride 4 of the padded frames.
        boxes: (B, T, 4) cxcywh in [0, 1].
        scores: (B,) mean over frames of the chosen query's class probability.
        queries: (B, T) index of the chosen query; the same in all frames where one is chosen for the clip.
    """

    masks: Tensor
    boxes: Tensor
    scores: Tensor
    queries: Tensor
