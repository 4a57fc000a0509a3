"""The page in a real Chromium: what a person does, and what a person does wrong."""

import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed")
pytest.importorskip("playwright", reason="Playwright is not installed")

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from safetensors.numpy import load_file

from pipeline.evolution.page.launching import serve
from pipeline.evolution.settings import EvolutionSettings
from pipeline.runs.folder import RunFolder

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60_000  # milliseconds, on a machine that does much else
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        # Without a sandbox: containers and root have none, and nothing foreign is opened here.
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


class Served:
    """The page's server, which can die and be started again at the same address."""

    def __init__(self, runs: Path, defaults: EvolutionSettings) -> None:
        self.runs, self.defaults = runs, defaults
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        self.server, self.address = serve(
            self.runs, host="127.0.0.1", port=self.port, defaults=self.defaults
        )

    def stop(self) -> None:
        self.server.blocks.close(verbose=False)


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, defaults: EvolutionSettings
) -> Iterator[Served]:
    run = RunFolder(tmp_path_factory.mktemp("runs") / "finished")
    run.write("config.yaml", b"name: x\n")
    run.write("report.html", b"<h1>What was found</h1><script>document.title = 'ran'</script>")
    served = Served(run.path.parent, defaults)
    yield served
    served.stop()


@pytest.fixture
def opened(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Pages of a new person each; one on which a script failed fails the test."""
    contexts, failures = [], []

    def open_page(path: str = "/", **options: Any) -> Page:
        contexts.append(browser.new_context(base_url=served.address, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(path)
        return page

    expect.set_options(timeout=PATIENCE)
    yield open_page
    for context in contexts:
        context.close()
    assert failures == []


@pytest.fixture
def session(opened: Callable[..., Page]) -> Page:
    return begun(opened())


def begun(page: Page) -> Page:
    page.get_by_role("button", name="Begin").click()
    expect(status(page)).to_contain_text("Step 1")
    return page


def status(page: Page) -> Any:
    return page.locator("#status")


def image(page: Page, number: int) -> Any:
    return page.get_by_role("button", name=re.compile(rf"^Image {number}, "))


def sources(page: Page) -> list[str]:
    return page.locator("#grid img").evaluate_all("all => all.map(one => one.src)")


def test_pick_five_next_back_and_reload(session: Page, defaults: EvolutionSettings) -> None:
    first = sources(session)
    assert len(first) == defaults.population
    expect(session.get_by_role("button", name="Next")).to_be_disabled()
    for number in (1, 3, 3, 5, 8):
        image(session, number).click()
    expect(status(session)).to_have_text("Step 1 · 5 of 5 picked")
    expect(image(session, 3)).to_have_accessible_name("Image 3, picked 2 times")
    session.reload()
    expect(status(session)).to_have_text("Step 1 · 5 of 5 picked")
    session.get_by_role("button", name="Next").click()
    expect(status(session)).to_have_text("Step 2 · 0 of 5 picked")
    second = sources(session)
    assert set(second) != set(first)
    expect(session.get_by_alt_text("The running favourite")).to_have_attribute("src", first[2])
    session.reload()
    expect(status(session)).to_have_text("Step 2 · 0 of 5 picked")
    assert sources(session) == second
    session.get_by_role("button", name="Go back to step 1").click()
    expect(status(session)).to_have_text("Step 1 · 5 of 5 picked")
    assert sources(session) == first
    expect(image(session, 3)).to_have_accessible_name("Image 3, picked 2 times")


def test_a_browser_that_dies_loses_no_pick(session: Page, opened: Callable[..., Page]) -> None:
    for number in (2, 2, 7):
        with session.expect_response("**/picks"):
            image(session, number).click()
    # Another browser knows nothing but the address.
    other = opened(session.url)
    expect(status(other)).to_have_text("Step 1 · 3 of 5 picked")
    expect(image(other, 2)).to_have_accessible_name("Image 2, picked 2 times")


def test_codes_are_picked_from(opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_role("radio", name="VQ-VAE").check()
    begun(page)
    first = sources(page)
    image(page, 3).click()
    page.get_by_role("button", name="Next").click()
    expect(status(page)).to_contain_text("Step 2")
    assert sources(page)[0] == first[2]
    assert len(set(sources(page))) > len(first) // 2


def test_a_server_that_dies_loses_nothing(session: Page, served: Served) -> None:
    image(session, 2).click()
    session.get_by_role("button", name="Next").click()
    expect(status(session)).to_contain_text("Step 2")
    shown = sources(session)
    image(session, 4).click()
    served.stop()
    session.get_by_role("button", name="Next").click()
    expect(session.get_by_role("alert")).to_contain_text("The server does not answer")
    served.start()
    # The page goes on by itself, with the picks that were not taken.
    expect(status(session)).to_have_text("Step 2 · 1 of 5 picked")
    expect(session.get_by_role("alert")).to_be_hidden()
    assert sources(session) == shown
    session.get_by_role("button", name="Next").click()
    expect(status(session)).to_contain_text("Step 3")


def test_a_second_click_while_computing_is_harmless(session: Page) -> None:
    image(session, 2).click()
    session.evaluate(
        """() => { const next = document.querySelector("#next");
                   for (let times = 0; times < 5; times++) next.click(); }"""
    )
    expect(status(session)).to_contain_text("Step 2")
    expect(session.get_by_role("button", name=re.compile("Go back to step"))).to_have_count(1)


def test_keys_do_everything(session: Page) -> None:
    session.keyboard.press("ArrowRight")
    expect(image(session, 1)).to_be_focused()
    for key in ("ArrowRight", "Space", "Enter", "ArrowDown", "Space", "Backspace"):
        session.keyboard.press(key)
    expect(status(session)).to_have_text("Step 1 · 2 of 5 picked")
    expect(image(session, 2)).to_have_accessible_name("Image 2, picked 2 times")
    session.keyboard.press("l")
    expect(session.get_by_role("dialog")).to_be_visible()
    session.keyboard.press("Escape")
    expect(session.get_by_role("dialog")).to_be_hidden()
    session.keyboard.press("n")
    expect(status(session)).to_have_text("Step 2 · 0 of 5 picked")
    session.keyboard.press("b")
    expect(status(session)).to_have_text("Step 1 · 2 of 5 picked")


def test_picks_are_taken_back_by_mouse(session: Page) -> None:
    for _ in range(3):
        image(session, 4).click()
    image(session, 4).click(button="right")
    expect(image(session, 4)).to_have_accessible_name("Image 4, picked 2 times")
    less = session.get_by_role("button", name="Take back a pick of image 4")
    less.click()
    less.click()
    expect(image(session, 4)).to_have_accessible_name("Image 4, not picked")
    expect(less).to_be_hidden()


def test_the_next_change_can_be_chosen(session: Page, served: Served) -> None:
    slider = session.get_by_role("slider", name="Change in the next step")
    expect(slider).to_be_disabled()
    session.get_by_role("checkbox", name="Automatic").uncheck()
    slider.fill("0")
    expect(session.locator("#mutation-value")).to_have_text("2 %")
    image(session, 1).click()
    session.get_by_role("button", name="Next").click()
    expect(status(session)).to_contain_text("Step 2")
    folder = served.runs / session.url.rsplit("/", 1)[1]
    assert RunFolder(folder).journal.events("query")[0]["chosen"] == pytest.approx(0.02)


def test_downloads_and_a_session_that_goes_on(session: Page, tmp_path: Path) -> None:
    image(session, 6).click()
    session.get_by_role("button", name="Next").click()
    expect(status(session)).to_contain_text("Step 2")
    with session.expect_download() as png:
        session.locator("#favourite-image").click()
    with session.expect_download() as latent:
        session.locator("#favourite-latent").click()
    with session.expect_download() as archive:
        session.get_by_role("link", name="Whole session").click()
    assert Image.open(png.value.path()).size == (16, 16)
    latent.value.save_as(tmp_path / "latent.safetensors")
    assert load_file(tmp_path / "latent.safetensors")["z"].shape[0] == 1
    archive.value.save_as(tmp_path / "session.zip")
    shown, address = sources(session), session.url
    session.goto("/")
    session.get_by_role("radio", name="A saved session").check()
    session.get_by_label("Session a .zip").set_input_files(tmp_path / "session.zip")
    session.get_by_role("button", name="Begin").click()
    expect(status(session)).to_contain_text("Step 2")
    assert session.url != address
    assert sources(session) == shown


def test_a_photo_and_what_is_none(opened: Callable[..., Page], tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (90, 60, 30)).save(tmp_path / "photo.jpg")
    (tmp_path / "none.jpg").write_text("no photo")
    (tmp_path / "changed.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    page = opened()
    page.get_by_role("radio", name="A photo").check()
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a photo first")
    page.get_by_label("Photo JPEG").set_input_files(tmp_path / "none.jpg")
    expect(page.get_by_role("alert")).to_contain_text("no photo that can be read")
    page.get_by_label("Photo JPEG").set_input_files(tmp_path / "photo.jpg")
    expect(page.get_by_alt_text("Your photo")).to_be_visible()
    page.get_by_role("radio", name="A saved session").check()
    page.get_by_label("Session a .zip").set_input_files(tmp_path / "changed.zip")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("alert")).to_contain_text("session")
    page.get_by_role("radio", name="A photo").check()
    begun(page)


def test_two_tabs_are_two_sessions(session: Page) -> None:
    other = session.context.new_page()
    other.goto("/")
    begun(other)
    image(session, 1).click()
    session.get_by_role("button", name="Next").click()
    expect(status(session)).to_contain_text("Step 2")
    other.reload()
    expect(status(other)).to_have_text("Step 1 · 0 of 5 picked")
    assert session.url != other.url


def test_a_phone_in_the_dark(opened: Callable[..., Page]) -> None:
    page = begun(opened(viewport=PHONE, color_scheme="dark", has_touch=True))
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    image(page, 5).tap()
    expect(status(page)).to_have_text("Step 1 · 1 of 5 picked")
    expect(page.get_by_role("button", name="Next")).to_be_in_viewport()
    box = image(page, 5).bounding_box()
    assert box is not None
    assert box["width"] >= 44  # pixels: what a finger meets (WCAG 2.5.5)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    for path in ("/", "/runs"):
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_finished_runs_are_shown_and_run_nothing(opened: Callable[..., Page]) -> None:
    page = opened("/runs")
    page.get_by_role("link", name="finished").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="What was found")).to_be_visible()
    assert [each.title() for each in page.frames[1:]] == [""]


def test_an_address_without_a_session(opened: Callable[..., Page]) -> None:
    page = opened("/sessions/nothing")
    expect(page.get_by_role("alert")).to_contain_text("There is no run")
    expect(page.get_by_role("link", name="Begin or continue a session")).to_be_visible()
