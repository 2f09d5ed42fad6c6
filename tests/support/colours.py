"""Colours of a page, as people see them."""

import re

from playwright.sync_api import Page


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
