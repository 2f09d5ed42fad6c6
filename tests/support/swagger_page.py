"""A page of Swagger UI in a browser: authorize, open operations, execute them."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

# Chromium needs all of a processor that others use too.
expect.set_options(timeout=20_000)


class SwaggerPage:
    """The page, everything that it has said, and everything that it has asked for."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.said: list[str] = []
        self.asked: list[Request] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", self._note_request)
        page.goto(f"{origin}/api/")
        self.wait()

    def wait(self) -> None:
        """Wait until the first operation can be seen."""
        expect(self.page.locator(".opblock").first).to_be_visible()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("warning", "error"):
            self.said.append(message.text)

    def _note_request(self, request: Request) -> None:
        self.asked.append(request)

    def authorize(self, kind: str, **values: str) -> None:
        """Fill in one of the dialog's forms, and send it."""
        form = self.form(kind)
        for name, value in values.items():
            form.locator("input" if name == "value" else f"#oauth_{name}").fill(value)
        form.locator("button.authorize").click()
        expect(form.locator("button", has_text="Logout")).to_be_visible()
        self.page.locator(".close-modal").click()

    def log_out(self, kind: str) -> None:
        """Forget what was given to one of the dialog's forms."""
        form = self.form(kind)
        form.locator("button", has_text="Logout").click()
        expect(form.locator("button.authorize")).to_be_visible()
        self.page.locator(".close-modal").click()

    def form(self, kind: str) -> Locator:
        """Open the dialog, and return one of its forms."""
        self.page.locator("button.authorize").first.click()
        return self.page.locator(".auth-container", has=self.page.locator("h4", has_text=kind)).last

    def opened(self, tag: str, operation_id: str) -> Locator:
        """Open an operation, and its tag before."""
        operation = self.page.locator(f"#operations-{tag}-{operation_id}")
        if not operation.count():
            press(self.page.locator(f"#operations-tag-{tag}"))
        expect(operation).to_be_visible()
        if "is-open" not in (operation.get_attribute("class") or ""):
            press(operation.locator(".opblock-summary-control"))
        expect(operation.locator("button.execute")).to_be_visible()
        return operation

    def offered_body(self, tag: str, operation_id: str) -> Any:
        """Return the JSON that stands in the text area of an operation, None if it has none."""
        area = self.opened(tag, operation_id).locator("textarea.body-param__text")
        return json.loads(area.input_value()) if area.count() else None

    def execute(
        self, tag: str, operation_id: str, *, body: Any = None, file: Path | None = None, **parameters: str
    ) -> tuple[int, str]:
        """Open an operation, fill in what is given, execute it, and return what the page shows of the answer."""
        operation = self.opened(tag, operation_id)
        for field in operation.locator('tr[data-param-in="path"] input').all():
            if field.get_attribute("placeholder") not in parameters:
                expect(field).not_to_have_value("")  # What is offered appears a moment later.
        for name, value in parameters.items():
            field = operation.locator(f'tr[data-param-name="{name}"] input')
            field.fill(value)
            field.blur()  # Else the page waits for more to be typed.
        if body is not None:
            operation.locator("textarea.body-param__text").fill(json.dumps(body))
        if file is not None:
            operation.locator('input[type="file"]').set_input_files(file)
        press(operation.locator("button.execute"))
        answer = operation.locator(".live-responses-table .response").first
        status = answer.locator(".response-col_status")
        expect(status).to_have_text(re.compile(r"\d{3}"))
        shown = answer.locator("pre.microlight")
        text = shown.first.inner_text() if shown.count() else ""
        code = int(re.findall(r"\d{3}", status.inner_text())[0])
        press(operation.locator("button.btn-clear"))  # Else the next answer could not be told from this one.
        press(operation.locator(".opblock-summary-control"))
        expect(operation.locator(".opblock-body")).to_have_count(0)
        return code, text


def press(button: Locator) -> None:
    """Press what is there, without the wait for all that moves to stand still."""
    button.evaluate("element => element.click()")
