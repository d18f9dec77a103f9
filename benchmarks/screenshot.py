"""The picture of `docs/cnn.html` in the README, by headless Chromium, with its image of a ship.

    python benchmarks/screenshot.py

The letters are those of the machine's fonts, and it needs one with Japanese.
"""

import shutil

from common import ROOT
from PIL import Image
from playwright.sync_api import sync_playwright

from support.files import replacing


def main():
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright, replacing(ROOT / "docs" / "page.png") as part:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        viewport = {"width": 1280, "height": 745}
        page = chromium.new_page(locale="ja-JP", viewport=viewport, bypass_csp=True)
        page.goto((ROOT / "docs" / "cnn.html").as_uri())
        page.locator("#agreement:not(:empty)").wait_for()
        page.evaluate("at = undefined, show(images[25])")
        page.screenshot(path=part)
        with Image.open(part) as image:
            image.convert("RGB").save(part, optimize=True)


if __name__ == "__main__":
    main()
