"""The reviewer's page over a real connection and in a real browser: the only place that shows suspected clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Browser, Page, expect

from heart2heart.annotate.middleware import SECURITY_HEADERS
from heart2heart.annotate.review_page import ReviewServer, ReviewSession, TokenCheck
from heart2heart.errors import ConfigError, StoreError
from heart2heart.schema.review import REVIEW_FILE, read_reviews
from heart2heart.store.frame_store import FrameStore
from heart2heart.testing.stores import SIZE, random_store
from tests.annotate.accessibility import violations
from tests.annotate.browsing import PATIENCE, painted
from tests.annotate.support import Client, running_server

CLIPS = [f"a000{index:02d}".ljust(16, "0") for index in range(5)]
FLAGS = {CLIPS[0]: ["text_suspected"], CLIPS[1]: ["text_suspected", "text_quarantined"],
         CLIPS[2]: ["text_blanked", "text_suspected"]}  # fmt: skip
PLAIN = CLIPS[3]


def areas(frames: npt.NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """Stand for the detector, which needs larger frames."""
    return [(1, 2, 9, 6)] if frames.shape[1:] == (SIZE, SIZE) else []


@contextmanager
def serving(root: Path, reviewer: str = "Reader 1") -> Iterator[ReviewServer]:
    with running_server(ReviewServer(ReviewSession(root, reviewer, areas), 0)) as server:
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return random_store(tmp_path / "store", sites=["A"], patients=1, flags=FLAGS).root


def token(server: ReviewServer) -> str:
    return server.address.partition("#")[2]


def review(root: Path) -> Any:
    return FrameStore.open(root).text_review


def test_review_server_lets_in_the_token_of_its_address_alone(root: Path) -> None:
    with serving(root) as server:
        assert server.address.startswith(f"http://127.0.0.1:{server.port}/#")
        client = Client(server.port)
        for path in ("session", f"clips/{CLIPS[0]}", f"clips/{CLIPS[0]}/frames"):
            assert client.refused(path) == (
                401, "this page needs the token of its address. Open the whole address that heart2heart review printed",
            )  # fmt: skip
        assert client.refused("sign-in", {"secret": "Reader 1"})[0] == 401
        assert client.refused("sign-in", {"secret": 7})[0] == 401
        assert client.refused("decisions", {})[0] == 401
        with pytest.raises(AssertionError):
            client.enter(token(server)[:-1] + "é")
        client.cookie = f"heart2heart_review_{server.port}=wrong"
        assert client.refused("session")[0] == 401
        _, _, headers = client.raw("/api/sign-in", {"secret": token(server)})
        assert "HttpOnly" in headers["set-cookie"]
        assert "SameSite=strict" in headers["set-cookie"]
        assert client.enter(token(server)).ask("session")["name"] == "Reader 1"
        assert client.raw("/api/session", None, Host="evil.example")[0] == 421
        assert client.raw("/api/session", None, Origin="http://evil.example")[0] == 403


def test_review_server_shows_suspected_clips_and_no_others(root: Path) -> None:
    with serving(root) as server:
        client = Client(server.port).enter(token(server))
        overview = client.ask("session")
        assert overview == {"name": "Reader 1", "size": SIZE, "waiting": CLIPS[:3], "cleared": 0, "hidden": 0}
        details = client.ask(f"clips/{CLIPS[1]}")
        assert (details["frames"], details["state"], details["areas"]) == (3, "waiting", [[1, 2, 9, 6]])
        assert details["flags"] == ["text_suspected", "text_quarantined"]
        status, content, headers = client.raw(f"/api/clips/{CLIPS[1]}/frames")
        store = FrameStore.open(root)
        table = store.frames_of(store.all_clips).sort_by("frame")
        rows = [row["row"] for row in table.to_pylist() if row["clip"] == CLIPS[1]]
        assert (status, content) == (200, store.read(np.array(rows)).tobytes())
        for name, value in SECURITY_HEADERS.items():
            assert headers[name.lower()] == value
        assert headers["cache-control"] == "no-store"
        for clip in (PLAIN, "zzz", "..%2f..%2fetc"):
            assert client.raw(f"/api/clips/{clip}/frames")[0] == 404
        for name in ("", "review.js", "review.css", "style.css", "api.js", "dom.js", "player.js", "icon.svg"):
            assert client.raw(f"/{name}")[0] == 200, name
        assert client.raw("/main.js")[0] == 404
    assert not (root / REVIEW_FILE).exists()


def test_review_server_records_decisions_for_the_seen_pixels(root: Path) -> None:
    with serving(root) as server:
        client = Client(server.port).enter(token(server))
        seen = client.ask(f"clips/{CLIPS[0]}")["frame_hash"]
        body = {"clip": CLIPS[0], "decision": "cleared", "reason": "a ruler", "frame_hash": seen}
        assert client.ask("decisions", body)["waiting"] == CLIPS[1:3]
        assert client.refused("decisions", body | {"frame_hash": "0" * 64})[0] == 410
        assert client.refused("decisions", body | {"decision": "shown"})[0] == 400
        assert client.refused("decisions", body | {"reason": " "})[0] == 400
        assert client.refused("decisions", body | {"clip": "zzz"})[0] in (400, 503)
        assert client.refused("decisions", body | {"reviewer": "Somebody else"})[0] == 400
        assert client.ask("decisions", body | {"decision": "undone"})["waiting"] == CLIPS[:3]
        assert client.ask("decisions", body | {"decision": "hidden", "reason": "a name"})["hidden"] == 1
    events = read_reviews(root).events
    assert [(e.decision.value, e.reviewer, e.reason) for e in events] == [
        ("cleared", "Reader 1", "a ruler"), ("undone", "Reader 1", "a ruler"), ("hidden", "Reader 1", "a name"),
    ]  # fmt: skip
    assert {event.pixel_hash for event in events} == {seen}
    assert events[0].at <= events[1].at <= events[2].at


def test_review_server_shows_nothing_where_the_reviews_are_damaged(root: Path) -> None:
    with serving(root) as server:
        client = Client(server.port).enter(token(server))
        (root / REVIEW_FILE).write_text("damaged\n")
        (root / REVIEW_FILE).chmod(0o600)
        for path in ("session", f"clips/{CLIPS[0]}", f"clips/{CLIPS[0]}/frames"):
            status, message = client.refused(path)
            assert (status, message.startswith("this line of the file of reviews was changed")) == (410, True)
    with pytest.raises(StoreError, match="was changed"):
        ReviewSession(root, "Reader 1", areas)


def test_review_session_needs_a_name(root: Path) -> None:
    with pytest.raises(ConfigError, match="1 to 60 printable"):
        ReviewSession(root, "x" * 61, areas)


def test_token_check_is_new_with_each_start() -> None:
    assert len({TokenCheck(1).token for _ in range(3)}) == 3


def shown(page: Page, clip: str) -> None:
    expect(page.locator("#details")).to_contain_text(clip[:12])
    page.locator("#review[aria-busy=false]").wait_for()
    page.wait_for_timeout(180)


def test_review_page_clears_hides_skips_and_undoes_by_keyboard(root: Path, browser: Browser) -> None:
    noise: list[str] = []
    with serving(root) as server:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url) if "127.0.0.1" not in request.url else None)
        page.goto(server.address)
        shown(page, CLIPS[0])
        assert "#" not in page.url  # the token is not left in the address
        expect(page.locator("#counts")).to_have_text("3 waiting, 0 cleared, 0 hidden")
        expect(page.locator("#areas")).to_contain_text("1 suspected area is outlined")
        expect(page.locator("#synthetic")).to_be_visible()
        schemes: tuple[Literal["light", "dark"], ...] = ("dark", "light")
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            painted(page)
            assert violations(page) == []
        outline = "() => document.querySelector('#outline').getContext('2d').getImageData(4, 16, 1, 1).data[3]"
        assert page.evaluate(outline) == 255
        page.keyboard.press("o")
        assert page.evaluate(outline) == 0
        page.keyboard.press("s")
        shown(page, CLIPS[1])
        expect(page.locator("#areas")).to_contain_text("The clip is in quarantine")
        page.locator("#reason").fill("only a ruler, no change")  # its letters are no keys
        page.locator("#reason").blur()
        page.keyboard.press("c")
        shown(page, CLIPS[2])
        expect(page.locator("#status")).to_have_text(f"Cleared: clip {CLIPS[1][:12]}.")
        expect(page.locator("#areas")).to_contain_text("blanked")
        page.keyboard.press("h")
        shown(page, CLIPS[0])  # the skipped one comes again
        expect(page.locator("#counts")).to_have_text("1 waiting, 1 cleared, 1 hidden")
        page.keyboard.press("z")
        shown(page, CLIPS[2])
        expect(page.locator("#counts")).to_have_text("2 waiting, 1 cleared, 0 hidden")
        page.get_by_role("button", name="h Hide").click()
        shown(page, CLIPS[0])
        page.keyboard.press("ArrowRight")
        expect(page.locator("#play")).to_contain_text("Play")
        expect(page.locator("#frame")).to_contain_text("of 3")
        page.keyboard.press("c")
        expect(page.locator("#nothing")).to_contain_text("No clip waits for review.")
        expect(page.locator("#review")).to_be_hidden()
        context.close()
    assert [line for line in noise if not line.startswith("Canvas2D")] == []  # the test itself reads the canvas
    state = review(root)
    assert (state.cleared, state.hidden, state.waiting) == ({CLIPS[0], CLIPS[1]}, {CLIPS[2]}, frozenset())
    assert [event.reason for event in read_reviews(root).events][:2] == [
        "only a ruler, no change", "an identity in the pictures, or unsure",
    ]  # fmt: skip
    with serving(root) as server:
        page = browser.new_page()
        page.goto(server.address.partition("#")[0])
        expect(page.locator("#trouble")).to_contain_text("This page needs the token of its address")
        expect(page.locator("#review")).to_be_hidden()
        page.close()
