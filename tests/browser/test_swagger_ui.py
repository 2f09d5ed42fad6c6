"""Swagger UI in headless Chromium, on what `manage.py dev` starts: authorize in each way, then try it out."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect, sync_playwright

from tests.support.dev import Dev
from tests.support.programs import need
from tests.support.swagger_ui import NOTHING, offered_body

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# Chromium needs all of a processor that others use too.
expect.set_options(timeout=20_000)
TITLE = "Water the plants on the third floor"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    running = Dev(tmp_path_factory.mktemp("browser") / "instance", is_forked=True).start()
    running.log_in("admin", running.passwords()["admin"])
    yield running
    code, _, left = running.stop()
    assert (code, left) == (0, [])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=need("chromium"), args=ARGUMENTS)
        yield running
        running.close()


class Ui:
    """A page of Swagger UI, and everything that it has said and asked for."""

    def __init__(self, page: Page, dev: Dev) -> None:
        self.page = page
        self.origin = f"http://127.0.0.1:{dev.port}"
        self.said: list[str] = []
        self.asked: list[Request] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", self._note_request)
        page.goto(f"{self.origin}/api/")
        expect(page.locator(".opblock").first).to_be_visible()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("warning", "error"):
            self.said.append(message.text)

    def _note_request(self, request: Request) -> None:
        self.asked.append(request)

    def authorize(self, kind: str, **values: str) -> None:
        """Fill in one of the dialog's forms, and send it."""
        self.page.locator("button.authorize").first.click()
        form = self.page.locator(".auth-container", has=self.page.locator("h4", has_text=kind)).last
        for selector, value in values.items():
            form.locator(selector.replace("_", "#oauth_") if selector.startswith("_") else selector).fill(value)
        form.locator("button.authorize").click()
        expect(form.get_by_role("button", name="Logout")).to_be_visible()
        form.locator("button.btn-done").click()

    def try_out(self, method: str, path: str, *, body: Any = None, **parameters: str) -> tuple[int, Any]:
        """Open an operation, fill it in, execute it, and return what the page shows of the answer."""
        operation = self._opened(method, f"/v1{path}")
        operation.locator("button.try-out__btn").click()
        for field in operation.locator('tr[data-param-in="path"] input').all():
            if field.get_attribute("placeholder") not in parameters:
                expect(field).not_to_have_value("")  # What is offered appears a moment later.
        for name, value in parameters.items():
            operation.locator(f'tr[data-param-name="{name}"] input').fill(value)
        if body is not None:
            operation.locator("textarea.body-param__text").fill(json.dumps(body))
        operation.locator("button.execute").click()
        answer = operation.locator(".live-responses-table .response")
        status = answer.locator(".response-col_status")
        expect(status).to_have_text(re.compile(r"\d{3}"))
        shown = answer.locator("pre.microlight, .highlight-code pre").first.inner_text()
        code = int(re.findall(r"\d{3}", status.inner_text())[0])
        # Else the next answer could not be told from this one.
        operation.locator("button.btn-clear").click()
        operation.locator("button.try-out__btn").click()
        return code, json.loads(shown)

    def _opened(self, method: str, path: str) -> Locator:
        operation = self.page.locator(
            f".opblock-{method}", has=self.page.locator(f'.opblock-summary-path[data-path="{path}"]')
        )
        if "is-open" not in (operation.get_attribute("class") or ""):
            operation.locator(".opblock-summary-control").click()
        return operation


@pytest.fixture
def ui(browser: Browser, dev: Dev) -> Iterator[Ui]:
    context = browser.new_context(viewport={"width": 1280, "height": 1100})
    shown = Ui(context.new_page(), dev)
    yield shown
    context.close()
    # Without a complaint of the browser, and without a word to anybody else.
    assert shown.said == []
    assert {request.url.partition("/api")[0].partition("/swaggerui")[0] for request in shown.asked} == {shown.origin}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots: TESTS_ARTIFACTS, for those who want to look at them."""
    folder = Path(os.environ.get("TESTS_ARTIFACTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main_job(ui: Ui, *, title: str) -> None:
    """Create a task, find it, have it processed, and follow the job to its end."""
    status, made = ui.try_out("post", "/tasks", body={"title": title})
    assert (status, made["data"]["title"]) == (201, title)
    task_id = made["data"]["id"]
    status, listed = ui.try_out("get", "/tasks")
    assert (status, listed["data"][0]["id"]) == (200, task_id)
    status, accepted = ui.try_out("post", "/tasks/{task_id}/process", task_id=str(task_id))
    assert status == 202
    status, job = ui.try_out("get", "/jobs/{job_id}", job_id=accepted["data"]["job_id"], wait="20")
    assert (status, job["data"]["state"]) == (200, "succeeded")
    status, task = ui.try_out("get", "/tasks/{task_id}", task_id=str(task_id))
    assert (status, task["data"]["status"]) == (200, "completed")


def test_with_a_wrong_password(ui: Ui) -> None:
    ui.page.locator("button.authorize").first.click()
    form = ui.page.locator(".auth-container", has=ui.page.locator("h4", has_text="OAuth2")).last
    form.locator("#oauth_username").fill("admin")
    form.locator("#oauth_password").fill("a wrong one")
    form.locator("button.authorize").click()
    expect(form.locator(".errors")).to_contain_text("invalid_grant")
    expect(form.locator(".errors")).to_contain_text("The username or the password is wrong.")
    ui.said.clear()  # The browser notes every 401.


def test_with_a_password(ui: Ui, dev: Dev, pictures: Path) -> None:
    assert ui.try_out("get", "/tasks")[0] == 401
    ui.said.clear()  # The browser notes every 401.
    ui.authorize("OAuth2", _username="admin", _password=dev.passwords()["admin"])
    main_job(ui, title=TITLE)
    ui.page.locator('.opblock-summary-path[data-path="/v1/tasks"]').first.scroll_into_view_if_needed()
    ui.page.screenshot(path=pictures / "swagger-ui-try-it-out.png")


def test_with_a_pasted_token(ui: Ui, dev: Dev) -> None:
    ui.authorize("Bearer", input=f"Bearer {dev.token}")
    assert ui.try_out("post", "/tasks", body={"title": "By token"})[0] == 201


def test_with_an_api_key(ui: Ui, dev: Dev) -> None:
    status, made, _ = dev.call("POST", "/auth/keys", {"name": "Browser", "scopes": ["tasks:write"]})
    assert status == 201, made
    ui.authorize("ApiKey", input=made["data"]["key"])
    assert ui.try_out("post", "/tasks", body={"title": "By key"})[0] == 201
    # It does what its scopes allow, and the page shows the refusal.
    assert ui.try_out("get", "/tasks")[0] == 403
    ui.said.clear()


# What used to be refused as it was offered.
UNTOUCHED = (
    ("post", "/tasks", 201),
    ("put", "/tasks/{task_id}", 200),
    ("patch", "/tasks/{task_id}", 200),
    ("post", "/tasks/bulk", 200),
    ("post", "/posts", 201),
    ("post", "/reports", 202),
    ("get", "/search", 200),
)


def test_what_is_offered_works_untouched(ui: Ui, dev: Dev) -> None:
    ui.authorize("Bearer", input=f"Bearer {dev.token}")
    answers = {f"{verb} {path}": ui.try_out(verb, path)[0] for verb, path, _ in UNTOUCHED}
    assert answers == {f"{verb} {path}": code for verb, path, code in UNTOUCHED}
    # What the cheap tests try out for every operation is what the page really offers.
    document = json.loads(urlopen(f"{ui.origin}/api/swagger.json").read())
    sent = {f"{one.method.lower()} {one.url.partition('/v1')[2]}": one.post_data_json for one in ui.asked}
    for verb, path, _ in UNTOUCHED:
        body = offered_body(document["paths"][f"/v1{path}"][verb], document["definitions"])
        assert sent.get(f"{verb} {path.format(task_id=1)}", NOTHING) == body or verb == "get"


def test_the_page_is_light_and_readable(ui: Ui, pictures: Path) -> None:
    ui.page.screenshot(path=pictures / "swagger-ui.png")
    background = colour(ui.page, "body", "background-color")
    assert min(background) >= 240
    for selector in (".info .title", ".opblock-tag", ".opblock-summary-path", ".opblock-summary-description"):
        assert contrast(colour(ui.page, selector, "color"), background) >= 4.5, selector
    assert ui.page.evaluate("document.documentElement.scrollWidth") <= 1280
    # Whoever has a narrow window scrolls in one direction as well.
    ui.page.set_viewport_size({"width": 800, "height": 900})
    assert ui.page.evaluate("document.documentElement.scrollWidth") <= 800


def colour(page: Page, selector: str, name: str) -> tuple[int, int, int]:
    """Return a colour of the first such element; what is transparent shows the white page."""
    script = "(element, name) => getComputedStyle(element).getPropertyValue(name)"
    found = page.locator(selector).first.evaluate(script, name)
    parts = [float(part) for part in re.findall(r"[\d.]+", found)]
    if len(parts) == 4 and parts[3] == 0:
        return 255, 255, 255
    return int(parts[0]), int(parts[1]), int(parts[2])


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""

    def luminance(rgb: tuple[int, int, int]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
