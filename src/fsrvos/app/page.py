"""The page: three steps on the left, the result on the right."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from fsrvos.app import wording
from fsrvos.app.easel import COLOUR, LONG_SIDE, OPACITY
from fsrvos.app.events import Desk
from fsrvos.app.painting import Painting

# Seconds: how often old uploads and results are looked for, and how old they get.
_CLEANING = (600, 3600)
_VISIT = 4 * 3600


def build_page(desk: Desk) -> gr.Blocks:
    """Lays the page out and connects it.

    Args:
        desk: What answers its buttons.
    """
    limits = desk.limits
    with gr.Blocks(title="fsrvos", analytics_enabled=False, delete_cache=_CLEANING) as page:
        painting = gr.State(Painting(), time_to_live=_VISIT)
        with gr.Row(elem_classes="page-head"):
            gr.HTML(wording.HEAD, padding=False)
            example = gr.Button("Fill in an example", elem_id="example", scale=0, min_width=200)
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=360):
                with gr.Column(elem_classes="card"):
                    gr.HTML(
                        wording.step(1, "What the object looks like", wording.support_help(limits)),
                        padding=False,
                    )
                    support = gr.File(
                        label="Pictures or a clip", show_label=False, file_count="multiple",
                        file_types=["image", "video"], height=120, elem_id="support",
                    )  # fmt: skip
                    with gr.Column(visible=False) as easel:
                        told = gr.HTML(elem_id="painting", padding=False)
                        editor = gr.ImageEditor(
                            label="Paint the object", show_label=False, sources=(), transforms=(), layers=False,
                            brush=gr.Brush(
                                default_size=24, color_mode="fixed",
                                colors=[(f"rgb({', '.join(map(str, COLOUR))})", OPACITY)],
                            ),
                            canvas_size=(LONG_SIDE, LONG_SIDE), buttons=[], elem_id="editor",
                        )  # fmt: skip
                        with gr.Row():
                            back = gr.Button("Previous frame", size="sm", elem_id="back")
                            on = gr.Button("Next frame", size="sm", elem_id="next")
                            mask = gr.UploadButton(
                                "Use a ready mask", size="sm", file_types=["image"], elem_id="mask"
                            )
                    name = gr.Textbox(
                        label="What it is called", placeholder="a brown dog", elem_id="name", max_length=300,
                        info="Left empty, the first phrase of step 3 is used.",
                    )  # fmt: skip
                with gr.Column(elem_classes="card"):
                    gr.HTML(wording.step(2, "The video", wording.video_help(limits)), padding=False)
                    video = gr.File(
                        label="Video",
                        show_label=False,
                        file_types=["video", "image"],
                        height=120,
                        elem_id="video",
                    )
                    about = gr.HTML(visible=False, elem_id="about", padding=False)
                with gr.Column(elem_classes="card"):
                    gr.HTML(
                        wording.step(3, "What to find", "One phrase a line; each gets a colour of its own.")
                    )
                    phrases = gr.Textbox(
                        label="Phrases", show_label=False, lines=3, elem_id="phrases", max_length=2000,
                        placeholder="the dog on the left\nthe dog that runs to the right", container=False,
                    )  # fmt: skip
                    with gr.Row():
                        go = gr.Button("Segment", variant="primary", elem_id="go")
                        stop = gr.Button("Stop", interactive=False, elem_id="stop")
            with gr.Column(scale=1, min_width=360, elem_classes="card"):
                gr.HTML("<h2>Result</h2>", padding=False)
                status = gr.HTML(wording.EMPTY, elem_id="status", padding=False)
                with gr.Column(visible=False, elem_id="results") as results:
                    overlay = gr.Video(
                        label="Masks", show_label=False, interactive=False, autoplay=True, loop=True, buttons=[],
                        elem_id="overlay",
                    )  # fmt: skip
                    download = gr.DownloadButton("Download the masks (zip)", elem_id="download")
                    gr.HTML("<h3>Score over time</h3>", padding=False)
                    curve = gr.Image(
                        label="Score over time",
                        show_label=False,
                        interactive=False,
                        buttons=[],
                        elem_id="curve",
                    )
                    with gr.Column(visible=False) as support_part:
                        gr.HTML("<h3>The object as the network was shown it</h3>", padding=False)
                        shown = gr.Image(
                            label="Support", show_label=False, interactive=False, buttons=[], elem_id="shown"
                        )
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        frames = [painting, easel, told, editor, back, on]
        for event in (support.upload, support.clear, support.delete):
            event(desk.take_support, [painting, editor, support], frames, **hidden)
        for button, by in ((back, -1), (on, 1)):
            button.click(partial(desk.turn, by=by), [painting, editor], frames, **hidden)
        mask.upload(desk.take_mask, [painting, mask], frames, **hidden)
        gr.on([video.upload, video.clear], desk.take_video, video, about, **hidden)
        filled = [support, video, name, phrases, about, *frames]
        example.click(desk.fill_in, None, filled, **hidden)
        shown_results = [status, results, overlay, curve, support_part, shown, download, painting]
        go.click(desk.begin, None, [status, results, go, stop], queue=False, **hidden).then(
            desk.run, [painting, editor, name, video, phrases], shown_results, concurrency_limit=1, **hidden
        ).then(desk.end, None, [go, stop], queue=False, **hidden)
        stop.click(desk.stop, None, None, queue=False, **hidden)
        page.unload(desk.stop)
    return page
