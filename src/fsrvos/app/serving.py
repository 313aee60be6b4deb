"""Runs the page until it is told to stop."""

from __future__ import annotations

import ipaddress
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.middleware import Middleware

from fsrvos.app.events import Desk
from fsrvos.app.fence import Fence
from fsrvos.app.look import CSS, theme
from fsrvos.app.page import build_page
from fsrvos.errors import UserError

_MOST_WAITING = 16


@contextmanager
def served(desk: Desk, host: str, port: int | None) -> Iterator[str]:
    """Within the block the page is served.

    Args:
        desk: What answers it.
        host: Address to listen at.
        port: Port; None takes a free one.

    Yields:
        Address of the page.

    Raises:
        UserError: The port is taken, or there is no such address here.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(desk.folder / "uploads")  # read at every upload
    if not _is_loopback(host):
        warnings.warn(f"host={host}: whoever reaches this machine can use the page", stacklevel=2)
    page = build_page(desk).queue(max_size=_MOST_WAITING, default_concurrency_limit=1, api_open=False)
    try:
        _, address, _ = page.launch(
            server_name=host, server_port=port, prevent_thread_lock=True, quiet=True, share=False, inbrowser=False,
            max_file_size=desk.limits.max_upload_mb * 2**20, allowed_paths=[], footer_links=[], theme=theme(), css=CSS,
            enable_monitoring=False, run_history=False, ssr_mode=False, pwa=False, mcp_server=False, show_error=False,
            app_kwargs={"middleware": [Middleware(Fence)], "docs_url": None, "redoc_url": None},
        )  # fmt: skip
    except OSError as error:
        raise UserError(
            f"the page cannot be served at {host}:{port} ({error}); say port=NUMBER for a free one"
        ) from error
    try:
        yield address
    finally:
        page.close(verbose=False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
