"""fsrvos-app: a web page that segments one's own videos."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from omegaconf import DictConfig

from fsrvos.app.limits import Limits
from fsrvos.app.listening import check_address
from fsrvos.cli.common import hydra_command
from fsrvos.cli.free_text import quote_values
from fsrvos.cli.stopping import stopping
from fsrvos.errors import UserError
from fsrvos.predictor import Predictor
from fsrvos.predictor_checks import checked_device


def main() -> None:
    """Entry point of the console script."""
    sys.argv[1:] = quote_values(sys.argv[1:], ("checkpoint",))
    hydra_command("app", app, explained=True, has_run_folder=False)


def app(config: DictConfig) -> None:
    """Serves the page until SIGINT or SIGTERM; then nothing of what was uploaded is left.

    Args:
        config: Composed from configs/app.yaml.
    """
    if find_spec("gradio") is None:
        raise UserError("the page needs gradio, which is not installed; say pip install 'fsrvos[app]'")
    if config.checkpoint is None:
        raise UserError("checkpoint is missing; say checkpoint=VALUE, such as checkpoint=outputs/demo")
    limits = Limits(
        **{key: config[key] for key in ("max_upload_mb", "max_frames", "support_frames", "max_support")}
    )
    checked_device(config.device)
    port = check_address(config.host, config.port)
    predictor = Predictor.from_pretrained(
        str(config.checkpoint), device=config.device, jump_cost=config.jump_cost,
        short_side=config.short_side, max_long_side=config.max_long_side, window=config.window,
        precision=config.precision, compile=config.compile,
    )  # fmt: skip
    # Gradio would call home otherwise; it asks for this each time.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from fsrvos.app.events import Desk
    from fsrvos.app.serving import served

    with TemporaryDirectory(prefix="fsrvos-app-") as folder, stopping() as stop:
        with served(Desk(predictor, limits, Path(folder)), config.host, port) as address:
            print(f"{address} (Ctrl-C ends it)", flush=True)
            if config.browser:
                webbrowser.open(address)
            while not stop:
                time.sleep(0.2)


if __name__ == "__main__":
    main()
