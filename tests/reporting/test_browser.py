"""The report in a real browser: it shows its numbers, logs nothing and makes no network request."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from heart2heart.schema.metrics import Metrics
from tests.browser import FLAGS, chromium

ALONE = (
    *FLAGS, "--headless", "--disable-extensions", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """Result of a visit: the document, the console messages and the requested addresses."""

    document: str
    console: list[str]
    requests: list[str]


def visit(page: Path, folder: Path, *flags: str) -> Visit:
    browser = chromium("the report")
    log = folder / "net.json"
    command = [
        browser,
        *ALONE,
        *flags,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={log}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    content = json.loads(log.read_text(encoding="utf-8"))
    starts = [event["params"] for event in content["events"] if "initiator" in event.get("params", {})]
    # Requests of the browser itself (clock, updates) have no page as their initiator.
    requests = [str(params["url"]) for params in starts if params["initiator"] != "not an origin" and "url" in params]
    return Visit(done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line], requests)


def test_report_opens_in_a_browser_and_shows_its_numbers(
    rich_report: Path, rich_metrics: Metrics, tmp_path: Path
) -> None:
    visited = visit(rich_report, tmp_path)
    assert visited.console == []
    assert visited.requests == []
    text = unescape(visited.document).replace("\xa0", " ")
    for method in rich_metrics.methods:
        for site in method.sites:
            estimate = site.balanced_accuracy
            assert estimate.value is not None
            assert estimate.low is not None
            assert estimate.high is not None
            shown = f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"
            assert shown in text


def test_report_visit_lists_console_messages_and_requests(tmp_path: Path) -> None:
    page = tmp_path / "noisy.html"
    page.write_text(
        '<img src="http://127.0.0.1:9/picture.png"><script>console.error("loud")</script>', encoding="utf-8"
    )
    visited = visit(page, tmp_path)
    assert any("loud" in line for line in visited.console)
    assert any("picture.png" in address for address in visited.requests)


PROBE = """<iframe id="f" src="{page}" width="390" height="800"></iframe><pre id="o"></pre><script>
f.onload = () => {{
  const page = f.contentDocument, view = f.contentWindow, main = page.documentElement;
  const skip = page.querySelector("a[href]"), before = skip.getBoundingClientRect().left;
  f.contentWindow.focus(); skip.focus();
  const shown = skip.getBoundingClientRect(), drawn = view.getComputedStyle(skip);
  const wide = [...page.querySelectorAll("body *")].filter(
    e => e.getBoundingClientRect().right > main.clientWidth + 1 && !e.closest(".scroll"));
  o.textContent = JSON.stringify({{
    overflow: main.scrollWidth - main.clientWidth, wide: wide.length, before, left: shown.left,
    skip: skip.className, outline: drawn.outlineStyle, width: drawn.outlineWidth,
    regions: [...page.querySelectorAll(".scroll")].every(e => e.tabIndex === 0),
    narrow: [...page.querySelectorAll(".wide")].every(e => view.getComputedStyle(e).display === "none"),
  }});
}};
</script>"""


def test_report_fits_a_phone_and_a_keyboard(rich_report: Path, tmp_path: Path) -> None:
    wrapper = tmp_path / "phone.html"
    wrapper.write_text(PROBE.format(page=rich_report.as_uri()), encoding="utf-8")
    visited = visit(wrapper, tmp_path, "--allow-file-access-from-files", "--virtual-time-budget=4000")
    measured = json.loads(unescape(visited.document.split('<pre id="o">')[1].split("</pre>")[0]))
    assert measured["overflow"] == 0
    assert measured["wide"] == 0
    assert measured["narrow"]
    assert measured["regions"]
    assert measured["skip"] == "skip"
    assert measured["before"] < 0 <= measured["left"]
    assert measured["outline"] == "solid"
    assert float(measured["width"].removesuffix("px")) >= 2


def test_report_prints_to_pages(rich_report: Path, tmp_path: Path) -> None:
    pdf = tmp_path / "report.pdf"
    visit(rich_report, tmp_path, f"--print-to-pdf={pdf}")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert pdf.read_bytes().count(b"/Type /Page\n") >= 10


SCREENS = """<iframe id="d" src="{page}" width="1280" height="800"></iframe>
<iframe id="p" src="{page}" width="390" height="844"></iframe>
<iframe id="l" src="{page}#hashes" width="1280" height="800"></iframe><pre id="o"></pre><script>
onload = () => {{
  const tall = frame => frame.contentDocument.documentElement.scrollHeight / frame.height;
  const page = l.contentDocument, first = d.contentDocument.querySelectorAll("main > section.screen");
  const opened = [...page.querySelectorAll("details[open]")].map(e => e.parentElement.id);
  l.contentWindow.dispatchEvent(new Event("beforeprint"));
  const printed = page.querySelectorAll("details:not([open])").length;
  l.contentWindow.dispatchEvent(new Event("afterprint"));
  o.textContent = JSON.stringify({{
    desk: tall(d), phone: tall(p), opened, printed, top: page.getElementById("hashes").getBoundingClientRect().top,
    again: [...page.querySelectorAll("details[open]")].length,
    screens: [...first].map(e => e.getBoundingClientRect().height / 800),
    folds: [...d.contentDocument.querySelectorAll(".inside")].every(e => e.getBoundingClientRect().height < 50),
  }});
}};
</script>"""


def test_report_opens_with_three_screens_and_folds_the_rest(rich_report: Path, tmp_path: Path) -> None:
    wrapper = tmp_path / "screens.html"
    wrapper.write_text(SCREENS.format(page=rich_report.as_uri()), encoding="utf-8")
    visited = visit(wrapper, tmp_path, "--allow-file-access-from-files", "--virtual-time-budget=4000")
    measured = json.loads(unescape(visited.document.split('<pre id="o">')[1].split("</pre>")[0]))
    assert visited.console == []
    assert measured["desk"] <= 4.5
    assert measured["phone"] <= 10
    assert len(measured["screens"]) == 3
    assert max(measured["screens"]) <= 1.2
    assert measured["folds"]
    assert measured["opened"] == ["hashes"]
    assert abs(measured["top"]) < 800
    assert measured["printed"] == 0
    assert measured["again"] == 1
