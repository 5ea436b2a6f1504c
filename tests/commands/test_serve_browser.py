"""The page in a real browser: what a person does with it, and the end of the process."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.commands.browsing import CHROMIUM, LOADED, PATIENCE, browsing, opened
from tests.kept import unpack

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def served(workdir):
    """The address of a service in a process of its own; it ends by SIGTERM, and says so."""
    process = subprocess.Popen(
        [sys.executable, "-m", "msflow_jax", "serve", f"--workdir={workdir}", "--port=0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    line = process.stdout.readline()
    yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0]
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "what was begun is done" in out, err
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def address(trained):
    with served(trained) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with browsing() as found:
        yield found


@pytest.fixture
def page(browser, address, request):
    with opened(browser, address, **getattr(request, "param", {})) as found:
        yield found


def files(pictures):
    return sorted((pictures / "test").rglob("*.png"))


def test_an_image_is_classified_and_bars_are_as_long_as_probabilities(page, pictures):
    page.set_input_files("#classify-file", files(pictures)[0])
    page.wait_for_selector("#classify .card")
    shares = [float(t.rstrip(" %")) / 100 for t in page.locator(".bars .value").all_inner_texts()]
    assert sum(shares) == pytest.approx(1, abs=0.01) and shares == sorted(shares, reverse=True)
    page.click("#classify summary >> text=Settings")
    assert page.inner_text("#classify output[for=classify-coverage]") == "0.9"  # sets are shown
    page.locator("#classify-coverage").fill("0")
    assert page.inner_text("#classify output[for=classify-coverage]") == "none"
    assert page.locator("#classify .tag", has_text="set:").count() >= 1
    lengths = page.evaluate(
        "[...document.querySelectorAll('.bar')].map((b) => b.firstChild.offsetWidth / b.offsetWidth)"
    )
    assert lengths == pytest.approx(shares, abs=0.02)
    assert page.locator("#classify .card img").count() == 4  # itself, and three of training
    assert page.locator("#classify .state").inner_text() == ""
    assert page.evaluate(LOADED)


def test_a_class_is_drawn_with_other_steps_from_another_seed(page):
    page.select_option("#generate-label", "very bright")
    page.fill("#generate-count", "3")
    page.click("#generate summary")
    page.fill("#generate-seed", "9")
    page.fill("#generate-steps", "5")  # the place among 0, 1, 2, 3, 4, 6, ...
    assert page.inner_text("#generate output[for=generate-steps]") == "6"
    assert page.locator("#generate-guidance").count() == 0  # of a model without code dropout
    with page.expect_response("**/generate?**") as answer:
        page.click("#generate button[type=submit]")
    assert {"steps=6", "seed=9"} <= {*answer.value.url.partition("?")[2].split("&")}
    page.wait_for_selector("#generate .row img")
    assert page.locator("#generate .row img").count() == 3
    assert "no patient" in page.inner_text("#generate .result")


def test_a_wrong_file_and_a_bad_number_are_a_line_and_nothing_is_lost(page, pictures, tmp_path):
    (tmp_path / "<img src=x onerror=alert(1)>.txt").write_text("no picture")
    page.set_input_files("#classify-file", next(tmp_path.iterdir()))
    page.wait_for_selector("#classify .error")
    assert "is not an image" in page.inner_text("#classify .error")
    assert page.locator("#classify .drop img, #classify .error img").count() == 0
    page.set_input_files("#classify-file", files(pictures)[0])
    page.wait_for_selector("#classify .card")
    page.fill("#generate-count", "1000")
    page.click("#generate button[type=submit]")
    page.wait_for_selector("#generate .error")
    assert "count must lie in [1, 64]" in page.inner_text("#generate .error")
    assert page.locator("#classify .card").count() == 1


def choose_by_key(page):
    """The dialogue that Enter opens; on a machine that is busy the browser was seen to miss a key."""
    for _ in range(3):
        try:
            with page.expect_file_chooser(timeout=10_000) as chooser:
                page.keyboard.press("Enter")
            return chooser.value
        except playwright.TimeoutError:
            continue
    raise AssertionError("Enter opens no dialogue")


@pytest.mark.parametrize(
    "page", [{"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}], indirect=True
)
def test_a_phone_at_night_with_a_keyboard_alone(page, pictures):
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 25, 31)"
    page.locator("body").press("Tab")
    for _ in range(40):
        if page.evaluate("document.activeElement.id") == "classify-file":
            break
        page.keyboard.press("Tab")
    outline = "getComputedStyle(document.querySelector('#classify .drop')).outlineStyle"
    assert page.evaluate(outline) == "solid"  # who tabs sees where he is
    choose_by_key(page).set_files(files(pictures)[1])
    page.wait_for_selector("#classify .card")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.focus("#generate-label")
    page.keyboard.press("ArrowDown")
    page.focus("#generate button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#generate .row img")
    assert "very bright" in page.inner_text("#generate .result")


def test_two_users_at_once_see_each_his_own(browser, address, pictures):
    shown = files(pictures)[0], files(pictures)[-1]
    pages = [browser.new_context().new_page() for _ in shown]
    for page in pages:
        page.set_default_timeout(PATIENCE)
        page.goto(address)
    for page, file in zip(pages, shown, strict=True):
        page.set_input_files("#classify-file", file)
    for page, file in zip(pages, shown, strict=True):
        page.wait_for_selector("#classify .card")
        assert file.name in page.inner_text("#classify .card")
        page.context.close()


def test_a_dropped_file_is_classified(page, pictures):
    content = list(files(pictures)[2].read_bytes())
    page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          for (const name of ["further.png", "dropped.png"])
            data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
          for (const kind of ["dragover", "drop"])
            document.querySelector("#classify .drop").dispatchEvent(
              new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        content,
    )
    page.wait_for_selector("#classify .card")
    assert "dropped.png" in page.inner_text("#classify .card")
    chosen = page.inner_text("#classify .chosen")
    assert chosen == "dropped.png (1 more not taken: one file at a time)"


def test_a_mask_lies_over_its_image_beside_its_uncertainty(browser, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    with served(unpack("segment", tmp_path)) as address, opened(browser, address) as page:
        assert page.locator("section").count() == 1  # that is all the model can
        page.focus("#segment-file")
        choose_by_key(page).set_files(tmp_path / "scan.png")
        page.wait_for_selector("#segment .card")
        assert "resized: scan.png is 20 x 24" in page.inner_text("#segment .notice")
        sizes = "[...document.images].map((image) => [image.naturalWidth, image.naturalHeight])"
        assert page.evaluate(sizes) == [[24, 20]] * 3
        assert "uncertainty" in page.locator(".card figcaption").last.inner_text()
        rows = page.locator("#segment .legend tbody tr")
        shares = [
            float(text.rstrip(" %")) for text in rows.locator("td:nth-child(2)").all_inner_texts()
        ]
        assert len(shares) > 1 and sum(shares) == pytest.approx(100, abs=0.5)
        colour = "getComputedStyle(document.querySelectorAll('.swatch')[1]).backgroundColor"
        assert page.evaluate(colour) == "rgb(86, 180, 233)"
        with page.expect_download() as saved:
            page.click("#segment .card a[download]")
        assert saved.value.suggested_filename == "scan_mask.png"
        with Image.open(saved.value.path()) as mask:
            assert mask.size == (24, 20) and mask.getextrema()[1] < len(shares)


def test_a_report_is_read_from_its_file(browser, trained):
    place = f"file://{trained / 'report'}/"
    with opened(browser, f"{place}index.html") as page:
        assert page.locator("h2").count() > 3
        assert page.evaluate(LOADED)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_health_counts_what_browsers_asked(address):
    with urllib.request.urlopen(f"{address}health", timeout=20) as answer:
        found = json.load(answer)
    assert found["status"] == "ok" and found["classes"] == ["dark", "very bright"]
