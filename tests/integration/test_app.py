"""fsrvos-app as a visitor meets it: the real command, a real browser, a network that has learned nothing."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from importlib.util import find_spec
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import browser, requested
from commands import run
from PIL import Image
from tiny import tiny_model

from fsrvos.cli import app as app_command
from fsrvos.predictor import Predictor
from fsrvos.predictor_settings import Settings

if find_spec("gradio") is None:  # the command imports it, in a process of its own
    pytest.skip("no gradio here", allow_module_level=True)
pytest.importorskip("selenium")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 60
# Of the example's 24, so that a run is short.
FRAMES = 8


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    Predictor(tiny_model(), Settings(short_side=32, max_long_side=64, window=4)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the command puts what it keeps while it runs."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def server(checkpoint, place):
    arguments = [f"checkpoint={checkpoint}", "port=0", "max_upload_mb=1", f"max_frames={FRAMES}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "fsrvos.cli.app", *arguments],
        env={**os.environ, "TMPDIR": str(place)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    first = process.stdout.readline()
    assert first.startswith("http://127.0.0.1:"), first + process.stderr.read()
    process.address = first.split()[0]
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return tmp_path_factory.mktemp("browser") / "profile"


@pytest.fixture(scope="module")
def window(server, profile):
    with browser(profile, (1200, 1000)) as opened:
        opened.get(server.address)
        yield opened


def wait(window, met, about):
    return WebDriverWait(window, PATIENCE).until(lambda _: met(), about)


def seen(window, selector):
    """The first such element, once it is there."""
    return wait(
        window,
        lambda: next((e for e in window.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), None),
        selector,
    )


def says(window, selector, words):
    def met():
        return any(words in element.text for element in window.find_elements(By.CSS_SELECTOR, selector))

    wait(window, met, f"{selector} says {words}")


def upload(window, step, path):
    for button in window.find_elements(By.CSS_SELECTOR, f"#{step} button[aria-label='Clear']"):
        window.execute_script("arguments[0].click()", button)
    field = wait(
        window,
        lambda: next(iter(window.find_elements(By.CSS_SELECTOR, f"#{step} input[type=file]")), None),
        f"{step} takes a file",
    )
    field.send_keys(str(path))


def press(window, selector):
    """Clicks what a message in the corner may cover for a while."""
    window.execute_script("arguments[0].click()", seen(window, selector))


def fetched(address):
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read()


def test_the_example_goes_through_to_masks(window, profile):
    press(window, "#example")
    says(window, "#about", f"24 frames, 384x224, 8 frames/s; the first {FRAMES} of them are segmented")
    seen(window, "#editor canvas")
    press(window, "#go")
    says(window, "#status", f"{FRAMES} frames in")
    video = seen(window, "#overlay video")
    wait(window, lambda: window.execute_script("return arguments[0].readyState >= 2", video), "it plays")
    shape = window.execute_script(
        "return [arguments[0].videoWidth, arguments[0].videoHeight, arguments[0].duration]", video
    )
    assert shape == [384, 224, FRAMES / 8]
    curve = seen(window, "#curve img")
    wait(window, lambda: window.execute_script("return arguments[0].naturalWidth > 300", curve), "the curve")
    press(window, "#download")
    downloads = profile / "downloads"
    wait(window, lambda: [p for p in downloads.glob("*.zip") if zipfile.is_zipfile(p)], "the masks are saved")
    (saved,) = downloads.glob("*.zip")
    with zipfile.ZipFile(saved) as archive:
        said = json.loads(archive.read("predictions.json"))
        masks = [name for name in archive.namelist() if name.endswith(".png")]
        first = Image.open(io.BytesIO(archive.read(masks[0])))
    assert [len(entry["frames"]) for entry in said] == [FRAMES, FRAMES]
    assert len(masks) == 2 * FRAMES
    assert first.size == (384, 224)


def told(window):
    return seen(window, "#painting").text


def test_the_paint_of_the_example_survives_haste_and_company(window, tmp_path):
    """Two buttons before the page has the first answer, then another picture: the paint stays where it is."""
    press(window, "#example")
    says(window, "#painting", "Painted: ")
    seen(window, "#editor canvas")
    before = told(window)
    assert before.startswith("Frame ")
    window.execute_script("for (const id of ['next', 'back']) document.getElementById(id).click()")
    window.execute_script("document.getElementById('next').click()")
    wait(window, lambda: told(window).split(".")[0] != before.split(".")[0], "the page turns")
    position = int(before.split()[1])
    says(window, "#painting", f"Frame {position % 8 + 1} of 8.")
    assert told(window).split(" Painted: ")[1] == before.split(" Painted: ")[1]
    Image.fromarray(np.full((120, 200, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    more = window.find_element(By.CSS_SELECTOR, "#support input[type=file]")
    more.send_keys(str(tmp_path / "grey.png"))
    says(window, "#painting", f"Frame {position % 8 + 1} of 9.")
    assert told(window).split(" Painted: ")[1] == before.split(" Painted: ")[1]


def test_a_stroke_of_the_brush_is_the_support(window, tmp_path):
    """Painted in the browser at a known place; what the network was shown has it there."""
    Image.fromarray(np.full((120, 200, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    window.refresh()
    seen(window, "#example")
    upload(window, "support", tmp_path / "grey.png")
    canvas = seen(window, "#editor canvas")
    says(window, "#painting", "Paint over")
    time.sleep(2)  # the tool fades its picture in and ignores the mouse until then
    stroke = ActionChains(window, duration=30).move_to_element_with_offset(canvas, -120, 0).click_and_hold()
    for _ in range(6):
        stroke = stroke.move_by_offset(20, 0)
    stroke.release().perform()
    upload(window, "video", tmp_path / "grey.png")
    says(window, "#about", "1 frame")
    seen(window, "#phrases textarea").send_keys("a grey thing")
    press(window, "#go")
    says(window, "#status", "1 frame in")
    shown = np.asarray(Image.open(io.BytesIO(fetched(seen(window, "#shown img").get_attribute("src")))))
    marked = np.argwhere(np.abs(shown.astype(int)[..., :3] - 90).max(-1) > 40)
    (top, left), (bottom, right) = marked.min(0) / shown.shape[:2], marked.max(0) / shown.shape[:2]
    assert 0.35 < top < bottom < 0.65, "the stroke lies in the middle of the height"
    assert left < 0.3 < 0.45 < right < 0.6, "and goes from the left to the middle"


def test_mistakes_are_told_and_the_page_goes_on(window, server, tmp_path):
    window.refresh()
    press(window, "#go")
    says(window, "#status", "step 2 has no video yet")
    (tmp_path / "notes.mp4").write_text("this is a text")
    upload(window, "video", tmp_path / "notes.mp4")
    says(window, ".toast-body", "notes.mp4: is not a video")
    (tmp_path / "huge.mp4").write_bytes(bytes(2**21))
    upload(window, "video", tmp_path / "huge.mp4")
    says(window, ".toast-body", "exceed the maximum allowed size")
    press(window, "#example")
    says(window, "#about", "24 frames")
    Image.fromarray(np.ones((9, 9), np.uint8)).save(tmp_path / "small.png")
    mask = window.find_element(By.XPATH, "//*[@id='mask']/preceding::input[@type='file'][1]")
    mask.send_keys(str(tmp_path / "small.png"))
    says(window, ".toast-body", "small.png: is 9x9, but the frame is 384x224")
    seen(window, "#phrases textarea").send_keys(Keys.CONTROL + "a", Keys.BACKSPACE)
    press(window, "#go")
    says(window, "#status", "the phrase is empty")
    says(window, ".toast-body", "the phrase is empty")
    seen(window, "#phrases textarea").send_keys("a zorbel")
    wait(window, seen(window, "#go").is_enabled, "another try")
    press(window, "#go")
    says(window, "#status", f"{FRAMES} frames in")


def test_nothing_was_asked_of_another_machine(window, server):
    """All addresses since the start of the browser; then one that the page would have to refuse."""
    ours = urlsplit(server.address).netloc
    addresses = [urlsplit(address) for address in requested(window)]
    hosts = {address.netloc for address in addresses if address.scheme in ("http", "https", "ws", "wss")}
    assert len(addresses) > 50
    assert hosts == {ours}
    refused = window.execute_async_script(
        "const done = arguments[0];"
        "document.addEventListener('securitypolicyviolation', event => done(event.blockedURI));"
        "const image = new Image(); image.src = 'http://localhost:9/pixel.png'; document.body.append(image);"
    )
    assert refused.startswith("http://localhost:9")


def test_it_ends_without_leaving_anything(window, server, place):
    (folder,) = place.glob("fsrvos-app-*")
    assert any(folder.rglob("*.mp4")), "or there is nothing to see here"
    assert not any((folder / "runs").iterdir()), "a run's folder goes with the run"
    server.send_signal(signal.SIGTERM)
    _, err = server.communicate(timeout=60)
    assert server.returncode == 0
    assert "Traceback" not in err
    assert not folder.exists()


def test_without_gradio_one_line_says_what_to_install(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(app_command, "find_spec", lambda name: None)
    outcome = run(app_command.main, ["checkpoint=x"], tmp_path, monkeypatch, capfd)
    assert (outcome.code, len(outcome.complaints)) == (2, 1)
    assert "pip install 'fsrvos[app]'" in outcome.err


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """The one line that the command says to its arguments; it must not have loaded anything."""

    def told(*arguments):
        monkeypatch.setattr(app_command.Predictor, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
        outcome = run(app_command.main, list(arguments), tmp_path, monkeypatch, capfd)
        assert (outcome.code, len(outcome.err.splitlines())) == (2, 1)
        return outcome.err

    return told


def test_a_checkpoint_must_be_named(refused):
    assert "checkpoint is missing" in refused("port=null")


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_upload_mb", "null"), ("max_frames", "many"), ("support_frames", "0"), ("max_support", "1.5")],
)
def test_limits_are_whole_numbers(refused, name, value):
    assert f"{name} must be a whole number of at least 1" in refused(
        "checkpoint=x", "port=null", f"{name}={value}"
    )


@pytest.mark.parametrize("value", ["-1", "http"])
def test_ports_are_whole_numbers(refused, value):
    assert "port must be a whole number from 0 to 65535" in refused("checkpoint=x", f"port={value}")


@pytest.mark.parametrize("value", ["192.0.2.1", "null"])
def test_hosts_are_addresses_of_this_machine(refused, value):
    assert "address of this machine" in refused("checkpoint=x", "port=null", f"host={value}")


@pytest.mark.parametrize("value", ["gpu", "null"])
def test_devices_are_here(refused, value):
    assert "there is no such device here; say device=cpu" in refused(
        "checkpoint=x", "port=null", f"device={value}"
    )


def test_a_port_that_is_taken(refused):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port} is taken" in refused("checkpoint=x", f"port={port}")
