"""J of a network on the held-back frames of the user's own clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from fsrvos.data.collate import collate
from fsrvos.data.draws import generator
from fsrvos.data.held_back import OwnClip, evenly, supporter
from fsrvos.data.own_episodes import made_episode
from fsrvos.data.transforms import TestTransform
from fsrvos.engine.evaluation import segment_video
from fsrvos.engine.metrics import region_similarity
from fsrvos.models.cma import CMA
from fsrvos.structures import Batch

Part = Literal["stop", "report"]


class Scorer:
    """Segments held-back frames with training frames of another clip as support, or of the same where there is one."""

    def __init__(
        self,
        clips: Sequence[OwnClip],
        transform: TestTransform,
        window: int = 10,
        support_frames: int = 3,
        device: str | torch.device = "cpu",
    ) -> None:
        """Transforms the frames once: they are scored many times.

        Args:
            clips: The clips; those without held-back frames are passed over.
            transform: Test size.
            window: Frames that the network gets at once.
            support_frames: Support frames at most, evenly spaced over those that show the object.
            device: Where to run.

        Raises:
            UserError: A clip that nothing can support.
        """
        self.window, self.device = window, device
        self.parts: dict[Part, dict[str, Batch]] = {"stop": {}, "report": {}}
        self.truth = {own.name: own for own in clips}
        self.supporters = {own.name: supporter(clips, own) for own in clips if own.stop}
        for name, support in self.supporters.items():
            own, shown = self.truth[name], evenly(support.shown, support_frames)
            for part, positions in (("stop", own.stop), ("report", own.report)):
                episode = made_episode(0, own, support, positions, shown, transform, generator("adapt, test"))
                self.parts[part][name] = collate([episode], pad_to_multiple_of=1)  # type: ignore[index]

    def __call__(self, model: CMA, part: Part) -> dict[str, float]:
        """Mean J of each clip at native size, in [0, 1]; leaves the network in evaluation mode on its device."""
        model = model.to(self.device).eval()
        scores = {}
        for name, batch in self.parts[part].items():
            found = segment_video(model, batch.to(self.device), self.window, batch.native_sizes)
            own = self.truth[name]
            truth = own.clip.masks[list(own.stop if part == "stop" else own.report)]
            scores[name] = region_similarity(found.logits[0] > 0, truth).mean().item()
        return scores
