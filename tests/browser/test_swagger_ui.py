"""Swagger UI in headless Chromium, on what `manage.py dev` starts: authorize in each way, then try it out."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.colours import colour, contrast
from tests.support.dev import Dev
from tests.support.programs import need
from tests.support.swagger_page import SwaggerPage
from tests.support.swagger_ui import NOTHING, offered_body

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
TITLE = "Water the plants on the third floor"
SIZES = {1280: 1100, 390: 844}


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


@pytest.fixture
def ui(browser: Browser, dev: Dev) -> Iterator[SwaggerPage]:
    yield from opened(browser, dev)


@pytest.fixture(params=[(width, scheme) for width in SIZES for scheme in ("light", "dark")], ids=str)
def anywhere(request: pytest.FixtureRequest, browser: Browser, dev: Dev) -> Iterator[SwaggerPage]:
    """The page on a desk and on a phone, by day and by night."""
    width, scheme = request.param
    yield from opened(browser, dev, width=width, color_scheme=scheme)


def opened(browser: Browser, dev: Dev, *, width: int = 1280, **options: Any) -> Iterator[SwaggerPage]:
    context = browser.new_context(viewport={"width": width, "height": SIZES[width]}, **options)
    shown = SwaggerPage(context.new_page(), f"http://127.0.0.1:{dev.port}")
    yield shown
    context.close()
    # Without a complaint of the browser, and without a word to anybody else.
    assert shown.said == []
    assert {request.url.partition("/api")[0] for request in shown.asked if request.url[:5] != "blob:"} == {shown.origin}


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the screenshots: TESTS_ARTIFACTS, for those who want to look at them."""
    folder = Path(os.environ.get("TESTS_ARTIFACTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main_job(ui: SwaggerPage, *, title: str) -> None:
    """Create a task, find it, have it processed, and follow the job to its end."""

    def execute(tag: str, operation_id: str, **values: Any) -> tuple[int, Any]:
        code, text = ui.execute(tag, operation_id, **values)
        return code, json.loads(text)["data"]

    status, made = execute("tasks", "create_task", body={"title": title})
    assert (status, made["title"]) == (201, title)
    task_id = made["id"]
    status, listed = execute("tasks", "list_tasks")
    assert (status, listed[0]["id"]) == (200, task_id)
    status, accepted = execute("tasks", "process_task", task_id=str(task_id))
    assert status == 202
    status, job = execute("jobs", "get_job", job_id=accepted["job_id"], wait="20")
    assert (status, job["state"]) == (200, "succeeded")
    status, task = execute("tasks", "get_task", task_id=str(task_id))
    assert (status, task["status"]) == (200, "completed")


def picture_of_an_answer(ui: SwaggerPage, path: Path) -> None:
    operation = ui.opened("tasks", "create_task")
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer).to_contain_text("201")
    answer.scroll_into_view_if_needed()
    ui.page.screenshot(path=path)


def test_with_a_wrong_password(ui: SwaggerPage) -> None:
    form = ui.form("OAuth2")
    form.locator("#oauth_username").fill("admin")
    form.locator("#oauth_password").fill("a wrong one")
    form.locator("button.authorize").click()
    expect(form.locator(".errors")).to_contain_text("invalid_grant")
    expect(form.locator(".errors")).to_contain_text("The username or the password is wrong.")
    ui.said.clear()  # The browser notes every 401.


def test_with_a_password(ui: SwaggerPage, dev: Dev, pictures: Path) -> None:
    password = dev.passwords()["admin"]
    ui.authorize("OAuth2", username="admin", password=password)
    # It holds after a reload, in this tab only, and the password is nowhere.
    ui.page.reload()
    ui.wait()
    main_job(ui, title=TITLE)
    assert ui.page.evaluate("localStorage.length") == 0
    stored = ui.page.evaluate("JSON.stringify(sessionStorage)")
    assert "access_token" in stored
    assert password not in stored
    picture_of_an_answer(ui, pictures / "swagger-ui-try-it-out.png")
    ui.log_out("OAuth2")
    assert ui.page.evaluate("sessionStorage.length") == 0
    assert ui.execute("tasks", "list_tasks")[0] == 401
    ui.said.clear()  # The browser notes every 401.


def test_with_a_pasted_token(ui: SwaggerPage, dev: Dev) -> None:
    ui.authorize("Bearer", value=dev.token)
    assert ui.execute("tasks", "create_task", body={"title": "By token"})[0] == 201


def test_with_an_api_key(ui: SwaggerPage, dev: Dev) -> None:
    status, made, _ = dev.call("POST", "/auth/keys", {"name": "Browser", "scopes": ["tasks:write"]})
    assert status == 201, made
    ui.authorize("ApiKey", value=made["data"]["key"])
    assert ui.execute("tasks", "create_task", body={"title": "By key"})[0] == 201
    # It does what its scopes allow, and the page shows the refusal.
    assert ui.execute("tasks", "list_tasks")[0] == 403
    ui.said.clear()


def test_with_the_cookie_of_a_session(ui: SwaggerPage, dev: Dev) -> None:
    account = {"username": "admin", "password": dev.passwords()["admin"]}
    assert ui.execute("auth", "create_browser_session", body=account)[0] == 200
    # Its CSRF token is sent along by itself.
    assert ui.execute("tasks", "create_task", body={"title": "By cookie"})[0] == 201
    assert ui.execute("auth", "delete_browser_session")[0] == 204
    assert ui.execute("tasks", "list_tasks")[0] == 401
    ui.said.clear()


# Where more than a press of Execute is needed, and what else may be answered then.
EXPLAINED = {
    "reset_password": (422, "the token comes by mail"),
    "end_email_subscription": (404, "the token comes by mail"),
    "retry_job": (409, "the job has not failed"),
    "post_to_upstream": (404, "no upstream is configured"),
}
# What has an end for whoever asks comes last, as somebody who is not needed any more.
GOODBYES = ("log_out", "log_out_everywhere", "change_password")
FIRST = ("register_account", "log_in", "create_browser_session")


def test_every_body_that_is_offered_can_be_sent_untouched(ui: SwaggerPage, dev: Dev, tmp_path: Path) -> None:
    document = json.loads(urlopen(f"{ui.origin}/api/swagger.json").read())
    operations = {
        operation["operationId"]: operation
        for verb in ("post", "put", "patch")
        for item in document["paths"].values()
        if (operation := item.get(verb)) is not None
    }
    file = tmp_path / "tasks.csv"
    file.write_text("title\nWater the plants\n")
    ordered = dev.call("POST", "/exports", {"kind": "tasks", "format": "csv"})[1]["data"]["job_id"]
    given: dict[str, Any] = {
        "create_import": {"file": file},
        "retry_job": {"job_id": ordered},
        "end_email_subscription": {"token": "from-a-message"},
    }
    order = [*FIRST, *(name for name in operations if name not in FIRST + GOODBYES), *GOODBYES]
    answers, offered = {}, {}
    ui.authorize("Bearer", value=dev.token)
    for name in order:
        if name == "restore_task":
            assert dev.call("DELETE", "/tasks/1")[0] == 204
        if name == "refresh_tokens" or name in GOODBYES:
            ui.log_out("Bearer")
            ui.authorize("Bearer", value=token_of_the_example(dev, "refresh" if name == "refresh_tokens" else "access"))
        offered[name] = ui.offered_body(operations[name]["tags"][0], name)
        answers[name] = ui.execute(operations[name]["tags"][0], name, **given.get(name, {}))
        if name == "refresh_tokens":
            ui.log_out("Bearer")
            ui.authorize("Bearer", value=dev.token)
    wanted = {name: range(code, code + 1) for name, (code, _) in EXPLAINED.items()}
    wrong = {name: answer for name, answer in answers.items() if answer[0] not in wanted.get(name, range(200, 300))}
    assert wrong == {}
    # What the cheap tests try out for every operation is what the page really offers.
    bodies = {name: offered_body(operation, document["definitions"]) for name, operation in operations.items()}
    assert offered == {name: None if body is NOTHING else body for name, body in bodies.items()}
    # The browser notes every 4xx.
    ui.said[:] = [text for text in ui.said if not text.startswith("Failed to load resource")]


def token_of_the_example(dev: Dev, kind: str) -> str:
    """Log in as the account that the document takes for its examples, and that has been made just before."""
    account = {"username": "ada", "password": "correct horse battery"}
    token: str = dev.call("POST", "/auth/login", account)[1][f"{kind}_token"]
    return token


def test_a_file_is_downloaded(ui: SwaggerPage, dev: Dev) -> None:
    ui.authorize("Bearer", value=dev.token)
    _, ordered = ui.execute("exports", "create_export")
    job_id = json.loads(ordered)["data"]["job_id"]
    assert json.loads(ui.execute("jobs", "get_job", job_id=job_id, wait="20")[1])["data"]["state"] == "succeeded"
    operation = ui.opened("jobs", "download_job_result")
    operation.locator('tr[data-param-name="job_id"] input').fill(job_id)
    operation.locator("button.execute").click()
    with ui.page.expect_download() as download:
        operation.locator(".live-responses-table").locator("a[download], .download-contents").first.click()
    assert "title" in Path(download.value.path()).read_text().splitlines()[0]


def test_a_search_is_offered_with_words_to_look_for(ui: SwaggerPage, dev: Dev) -> None:
    ui.authorize("Bearer", value=dev.token)
    assert ui.execute("search", "search_content")[0] == 200


def test_operations_are_found_and_can_be_linked_to(ui: SwaggerPage) -> None:
    page = ui.page
    expect(page.locator(".opblock-tag-section.is-open")).to_have_count(1)  # The tasks.
    page.locator(".operation-filter-input").fill("members")
    expect(page.locator(".opblock-tag")).to_have_count(1)
    expect(page.locator(".opblock-summary-path").first).to_have_attribute("data-path", re.compile("members"))
    page.locator(".operation-filter-input").fill("")
    ui.opened("posts", "create_post")
    assert page.url.endswith("#/posts/create_post")
    page.reload()
    expect(page.locator("#operations-posts-create_post .opblock-body")).to_be_visible()
    expect(page.locator("#operations-posts-create_post")).to_be_in_viewport()


def test_the_page_is_readable_anywhere(anywhere: SwaggerPage, pictures: Path) -> None:
    page = anywhere.page
    width = page.evaluate("innerWidth")
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    name = f"{width}-{'dark' if is_dark else 'light'}"
    page.screenshot(path=pictures / f"swagger-ui-{name}.png")
    background = colour(page, "html", "background-color")
    assert max(background) < 64 if is_dark else min(background) >= 240
    for selector in (".info .title", ".info a", ".opblock-tag", ".links a", ".info .renderedMarkdown p"):
        assert contrast(colour(page, selector, "color"), background) >= 4.5, selector
    anywhere.opened("tasks", "list_tasks")
    page.screenshot(path=pictures / f"swagger-ui-{name}-list.png", full_page=True)
    # A range takes little room: parameters of one below the other.
    bounds = page.locator('tr[data-param-name^="created_at["]')
    expect(bounds).to_have_count(4)
    expect(bounds.nth(1)).to_contain_text("Created at or after this moment.")
    if width > 1000:
        assert sum(box["height"] for row in bounds.all() if (box := row.bounding_box())) <= 200
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(SMALL_TEXTS) == []
    anywhere.form("OAuth2")
    page.screenshot(path=pictures / f"swagger-ui-{name}-authorize.png")
    page.goto(f"{anywhere.origin}/api/")
    page.locator(".links a").click()
    expect(page.locator("h3", has_text="GET /v1/tasks").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert contrast(colour(page, "p", "color"), colour(page, "body", "background-color")) >= 7
    page.screenshot(path=pictures / f"reference-{name}.png")


# Texts that can be seen and are smaller than people can read.
SMALL_TEXTS = """() => {
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    const size = parseFloat(getComputedStyle(element).fontSize);
    if (size < 12) found.add(`${element.tagName} ${element.className} ${size}`);
  }
  return [...found];
}"""


def test_the_first_operation_is_there_soon_and_little_is_loaded(browser: Browser, dev: Dev) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{dev.port}/api/")
    page.locator(".opblock").first.wait_for()
    # A quiet machine takes one second; a machine that does much else takes several.
    assert page.evaluate("performance.now()") < 10_000
    assert sum(loaded(page).values()) < 700_000
    # What has a version in its address is not asked for again.
    page.reload()
    page.locator(".opblock").first.wait_for()
    assert {path for path, size in loaded(page).items() if size} <= {"/api/", "/api/openapi.json"}
    context.close()


def loaded(page: Page) -> dict[str, int]:
    """Return how many bytes came over the wire for each file of a page."""
    script = "performance.getEntriesByType('resource').map(one => [new URL(one.name).pathname, one.transferSize])"
    return dict(page.evaluate(script))
