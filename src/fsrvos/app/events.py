"""What the page's buttons do. A mistake of the user becomes a message in the page, which goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from fsrvos.app import wording
from fsrvos.app.archive import pack
from fsrvos.app.easel import shown_size
from fsrvos.app.example import Example, make_example
from fsrvos.app.limits import Limits
from fsrvos.app.painting import Painting
from fsrvos.app.ready_mask import read_mask
from fsrvos.app.segmenting import phrases_of, segment
from fsrvos.app.stops import Stops
from fsrvos.app.uploads import named, open_upload
from fsrvos.errors import UserError
from fsrvos.prediction_folder import CURVE, OVERLAY
from fsrvos.predictor import Predictor
from fsrvos.support_set import SupportSet

Answer = tuple[Any, ...]


@dataclass
class Desk:
    """Answers the page.

    Attributes:
        predictor: The network.
        limits: How much may be asked.
        folder: Where runs and the example are put; whoever made it removes it.
    """

    predictor: Predictor
    limits: Limits
    folder: Path
    _stops: Stops = field(default_factory=Stops)

    @property
    def reads_support(self) -> bool:
        """Whether the network looks at painted frames at all."""
        return self.predictor.model.uses_support

    @cached_property
    def example(self) -> Example:
        """The example, drawn at its first use."""
        return make_example(self.folder / "example", self.limits)

    def take_support(self, painting: Painting, editor: Any, mark: str, paths: list[str] | None) -> Answer:
        """New files of the support, or fewer: the easel."""
        painting.keep(editor, mark)
        try:
            painting.take_uploads(paths or [], self.limits)
        except UserError as error:
            warn(error)
        return self._easel(painting)

    def turn(self, painting: Painting, editor: Any, mark: str, by: int) -> Answer:
        """Another frame: the easel."""
        painting.keep(editor, mark)
        painting.turn(by)
        return self._easel(painting)

    def take_mask(self, painting: Painting, mark: str, path: str) -> Answer:
        """A ready mask for the frame that the page shows: the easel."""
        painting.show(mark)
        try:
            painting.put(read_mask(path, painting.size))
        except UserError as error:
            warn(error)
            return (gr.skip(),) * 7
        return self._easel(painting)

    def take_video(self, path: str | None) -> Any:
        """What the video is."""
        if path is None:
            return gr.update(visible=False)
        try:
            said = wording.about_video(open_upload(path, self.limits.max_frames))
        except UserError as error:
            warn(error)
            said = wording.problem(str(error))
        return gr.update(value=said, visible=True)

    def fill_in(self, painting: Painting) -> Answer:
        """The example: files, name, phrases, what the video is, and the easel."""
        one = self.example
        painting.become(one.painting)
        return (
            [str(one.support)], str(one.video), one.name, "\n".join(one.phrases), self.take_video(str(one.video)),
            *self._easel(painting),
        )  # fmt: skip

    def begin(self, painting: Painting, editor: Any, mark: str, request: gr.Request) -> Answer:
        """Before a run waits its turn: status, results, and both buttons.

        What is painted is kept here: after the wait it could be older than what was painted meanwhile.
        """
        painting.keep(editor, mark)
        self._stops.begin(str(request.session_hash))
        return (
            wording.WAITING,
            gr.update(visible=False),
            gr.update(interactive=False),
            gr.update(interactive=True),
        )

    def stop(self, request: gr.Request) -> None:
        """The stop button, or a page that was closed."""
        self._stops.stop(str(request.session_hash))

    def end(self) -> Answer:
        """After a run, whatever came of it: both buttons."""
        return gr.update(interactive=True), gr.update(interactive=False)

    def run(
        self, painting: Painting, name: str, path: str | None, text: str, request: gr.Request
    ) -> Iterator[Answer]:
        """Segments: status, results, overlay, curve, the support as shown with its part, the archive.

        The run's folder is gone when the last answer has been taken; gradio serves copies.
        """
        nothing = (gr.skip(),) * 6
        (self.folder / "runs").mkdir(exist_ok=True)
        with TemporaryDirectory(dir=self.folder / "runs") as made:
            folder, problem, support = Path(made), None, None
            started, done = time.perf_counter(), 0
            stopped = self._stops.asked(str(request.session_hash))
            try:
                if path is None:
                    raise UserError("step 2 has no video yet; upload one")
                phrases = phrases_of(text)
                support = self._support(painting, name, phrases[0])
                video = open_upload(path, self.limits.max_frames)
                with named(path):
                    for step in segment(
                        self.predictor, video, phrases, support, folder / "predictions", stopped
                    ):
                        done = step.done
                        yield wording.working(step), *nothing
            except UserError as error:
                warn(error)
                problem = str(error)
            said = wording.problem(problem) if problem else ""
            if done:
                what = "Stopped after " if stopped() else ""
                said += wording.outcome(what + wording.seconds(done, time.perf_counter() - started))
                yield said, *self._results(folder, support, Path(str(path)).stem)
            else:
                yield said or wording.outcome("Stopped before the first frame."), *nothing

    def _support(self, painting: Painting, name: str, first_phrase: str) -> SupportSet | None:
        if not self.reads_support:
            return None
        return self.predictor.support(
            painting.sources(),
            name.strip() or None,
            frames=self.limits.max_support,
            fallback_phrase=first_phrase,
        )  # every painted frame

    def _results(self, folder: Path, support: SupportSet | None, name: str) -> Answer:
        made = folder / "predictions"
        picture = None if support is None else support.picture()
        return (
            gr.update(visible=True), str(made / OVERLAY), str(made / CURVE),
            gr.update(visible=picture is not None), picture, str(pack(made, folder / f"{name}_masks.zip")),
        )  # fmt: skip

    def _easel(self, painting: Painting) -> Answer:
        """The painting, its column, what is said of it, the tool with its frame's mark, and the two turning buttons."""
        several = gr.update(visible=len(painting.order) > 1)
        tool = gr.update(value=None)
        if painting.clips:
            height, width = shown_size(*painting.size)
            # A canvas of another shape than the picture would show the paint beside its place.
            tool = gr.update(value=painting.easel(), canvas_size=(width, height))
        return (
            painting, gr.update(visible=bool(painting.clips)), wording.about_painting(painting), tool, painting.mark,
            several, several,
        )  # fmt: skip


def warn(error: UserError) -> None:
    """Shows the one line in a corner of the page."""
    gr.Warning(escape(str(error)))
