"""The page: three steps on the left, the result on the right, and what happens when a button is pressed."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from fsrvos.app.events import Desk
from fsrvos.app.layout import head, phrase_step, result, support_step, video_step
from fsrvos.app.painting import Painting

# Seconds: how often old uploads and results are looked for, and how old they and what is painted get.
_CLEANING = (600, 3600)
_VISIT = 4 * 3600


def build_page(desk: Desk) -> gr.Blocks:
    """Lays the page out and connects it.

    Args:
        desk: What answers its buttons.
    """
    with gr.Blocks(title="fsrvos", analytics_enabled=False, delete_cache=_CLEANING) as page:
        painting = gr.State(Painting(), time_to_live=_VISIT)
        example = head()
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=360):
                one = support_step(desk.limits, desk.reads_support)
                two = video_step(desk.limits)
                three = phrase_step()
            shown = result()

        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        # The run is long and gives no painting back: what is painted meanwhile would be lost.
        easel = [painting, one.easel, one.told, one.editor, one.mark, one.back, one.on]
        painted = [painting, one.editor, one.mark]
        for event in (one.files.upload, one.files.clear, one.files.delete):
            event(desk.take_support, [*painted, one.files], easel, **quiet)
        for button, by in ((one.back, -1), (one.on, 1)):
            button.click(partial(desk.turn, by=by), painted, easel, **quiet)
        one.ready_mask.upload(desk.take_mask, [painting, one.mark, one.ready_mask], easel, **quiet)
        gr.on([two.file.upload, two.file.clear], desk.take_video, two.file, two.about, **quiet)
        filled = [one.files, two.file, one.name, three.phrases, two.about]
        example.click(desk.fill_in, painting, [*filled, *easel], **quiet)

        begun = [shown.status, shown.part, three.go, three.stop]
        asked = [painting, one.name, two.file, three.phrases]
        answered = [
            shown.status, shown.part, shown.overlay, shown.curve, shown.support_part, shown.support, shown.download,
        ]  # fmt: skip
        # One run at a time, for all visitors together.
        three.go.click(desk.begin, painted, begun, queue=False, **quiet).then(
            desk.run, asked, answered, concurrency_limit=1, **quiet
        ).then(desk.end, None, [three.go, three.stop], queue=False, **quiet)
        three.stop.click(desk.stop, None, None, queue=False, **quiet)
        page.unload(desk.stop)
    return page
