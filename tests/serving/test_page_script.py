"""What the script of the page of a service shows, run without a browser."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import msflow_jax.serving

SCRIPT = Path(msflow_jax.serving.__file__).parent / "templates" / "page.js"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_share_near_an_end_is_not_shown_as_the_end():
    """A probability of 99.98 % was 100.0 %."""
    text = SCRIPT.read_text()
    start = text.index("function percent(")
    function = text[start : text.index("\n}\n", start) + 3]
    shares = [0, 0.0004, 0.123, 0.99975, 0.99999999, 1]
    code = f"{function}; console.log(JSON.stringify({json.dumps(shares)}.map(percent)))"
    out = subprocess.run(["node", "-e", code], capture_output=True, text=True, check=True)
    expected = ["0.0 %", "0.04 %", "12.3 %", "99.98 %", "99.999999 %", "100.0 %"]
    assert json.loads(out.stdout) == expected
