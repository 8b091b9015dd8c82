"""The report, in a real browser where there is one."""

import json
import re
import shutil
import subprocess

import pandas as pd
import pytest

import hwsim
from hwsim.cost_models import estimate
from hwsim.targets import names
from tests.cost_models.test_layer_table import OWN

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--virtual-time-budget=2000",
)  # fmt: skip


@pytest.fixture
def written(tmp_path):
    (tmp_path / "small.csv").write_text(OWN.replace("conv,", "<b>&conv</b>,", 1))
    return hwsim.report(tmp_path / "small.csv", ["systolic", "systolic"], tmp_path / "out")


@pytest.fixture
def browse(tmp_path):
    """Opens a page after adding a script to it: the page as it then stands, and what the console said."""
    if BROWSER is None:
        pytest.skip("needs chromium")

    def open_page(path, script="", *flags):
        copy = tmp_path / "copy.html"
        copy.write_text(path.read_text().replace("</body>", f"<script>{script}</script></body>"))
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [BROWSER, *FLAGS, *flags, profile, "--dump-dom", copy.as_uri()]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]

    return open_page


def first_column(page):
    body = re.search(r'class="sortable".*?<tbody>(.*?)</tbody>', page, re.DOTALL)[1]
    return re.findall(r'<tr><td class="n" data-value="(\d+)"', body)


def test_page_needs_nothing_else(written):
    text = written.read_text()
    assert not re.findall(r'(?:src|href)="(?!#)', text)
    assert not re.findall(r"url\((?!#)", text)
    assert "@import" not in text


def test_names_are_escaped(written):
    text = written.read_text()
    assert "<b>&conv</b>" not in text
    assert "&lt;b&gt;&amp;conv&lt;/b&gt;" in text


def test_every_number_of_the_target_is_there_with_its_source(written):
    text = written.read_text()
    for path, number in estimate(written.parent.parent / "small.csv", "systolic").provenance.items():
        assert f"<td>{path}</td>" in text
        assert number.source.split(",")[0] in text


def test_csv_and_trace_hold_the_layers(written):
    found = estimate(written.parent.parent / "small.csv", "systolic")
    layers = pd.read_csv(written.parent / "layers.csv")
    assert list(layers["cycles"][:3]) == [layer.cost.cycles for layer in found.layers]
    events = json.loads((written.parent / "trace.json").read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X" and event["pid"] == 1]
    assert [event["name"] for event in slices] == ["0 conv2d", "1 depthwise_conv2d", "2 add"]
    assert slices[-1]["ts"] + slices[-1]["dur"] == pytest.approx(found.latency_s * 1e6)


@pytest.mark.parametrize("name", names())
def test_every_target_is_reported(tmp_path, name):
    (tmp_path / "small.csv").write_text(OWN)
    text = hwsim.report(tmp_path / "small.csv", name, tmp_path / "out").read_text()
    assert text.count("<svg ") >= 2
    assert "nan" not in re.sub(r"<[^>]*>", "", text).lower().split()


def test_browser_renders_without_a_word(written, browse):
    page, said = browse(written)
    assert said == []
    assert page.count("<svg") >= 6


def test_browser_sorts_by_a_click_and_back(written, browse):
    click = "document.querySelectorAll('table.sortable th')[2].querySelector('button').click();"
    assert first_column(browse(written)[0]) == ["0", "1", "2"]
    assert first_column(browse(written, click)[0]) == ["0", "1", "2"]
    assert first_column(browse(written, click + click)[0]) == ["2", "1", "0"]


def test_page_is_no_wider_than_a_phone(written, browse):
    page, _ = browse(
        written, "document.title = document.documentElement.scrollWidth + ' ' + innerWidth", "--window-size=500,900"
    )
    wide, screen = map(int, re.search(r"<title>(\d+) (\d+)</title>", page).groups())
    assert wide <= screen


def test_page_follows_a_dark_theme(written, browse):
    say = "document.title = getComputedStyle(document.body).backgroundColor"
    dark, _ = browse(written, say, "--blink-settings=preferredColorScheme=0")
    light, _ = browse(written, say, "--blink-settings=preferredColorScheme=1")
    assert "<title>rgb(19, 22, 26)</title>" in dark
    assert "<title>rgb(255, 255, 255)</title>" in light
