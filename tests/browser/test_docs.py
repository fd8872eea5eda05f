"""The API is tried in the browser, with Swagger UI under the content policy of all pages."""

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.images import make_jpeg

pytestmark = pytest.mark.browser


def unfold(page: Page, name: str) -> Locator:
    """Open an operation, and make its fields ready."""
    operation = page.locator(f"[id$='-{name}']")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def send(operation: Locator) -> Locator:
    """Send the request, and return the status of the answer."""
    operation.get_by_role("button", name="Execute", exact=True).click()
    return operation.locator(".live-responses-table .response-col_status")


def test_limits_are_read_in_the_browser(page: Page) -> None:
    page.goto("/docs/try")
    operation = unfold(page, "list_limits")
    expect(send(operation).last).to_contain_text("200")
    expect(operation.locator(".live-responses-table")).to_contain_text("max_file_mb")


def test_job_is_created_in_the_browser(page: Page, tmp_path: Path) -> None:
    image = tmp_path / "photo.jpg"
    image.write_bytes(make_jpeg())
    page.goto("/docs/try")
    operation = unfold(page, "create_job")
    operation.locator("input[type=file]").set_input_files(image)
    expect(send(operation).last).to_contain_text("202")
