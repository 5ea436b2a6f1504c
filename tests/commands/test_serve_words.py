"""What the page of a service leaves out it counts, in a real browser."""

import pytest

from msflow_jax.workdir import open_workdir
from tests.commands.browsing import ADDRESS, answering, browsing, opened
from tests.kept import unpack

SHARES = "Object.fromEntries([...Array({count}).keys()].map((i) => [`c${{i}}`, (i + 1) / 120]))"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    flow = open_workdir(unpack("pixel", tmp_path_factory.mktemp("kept")))
    with (
        answering(flow) as client,
        browsing() as browser,
        opened(browser, ADDRESS, client) as found,
    ):
        yield found


def test_classes_that_are_not_shown_are_counted(page):
    many = page.evaluate(f"bars({SHARES.format(count=15)}).textContent")
    assert many.endswith("3 more classes, together 5.0 %") and "c3" in many and "c2" not in many
    assert "more class" not in page.evaluate(f"bars({SHARES.format(count=12)}).textContent")


@pytest.mark.parametrize(
    "total, words",
    [(4708, "Nearest of 512 training images (of 4708) that are compared with"),
     (512, "Nearest of 512 training images")],
)  # fmt: skip
def test_the_nearest_are_of_those_that_are_compared_with(page, total, words):
    image = (
        "{name: 'a', class: 'b', probability: {}, uncertainty: {}, picture: 'data:,', nearest: []}"
    )
    found = f"{{images: [{image}], series: [], compared_with: 512, training_images: {total}}}"
    script = f"show.classify({found}).at(-1).querySelectorAll('h3')[1].textContent"
    assert page.evaluate(script) == words
