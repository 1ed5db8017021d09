"""What all tests share: `--quick`, and a browser.

`--quick` is one case of each test, and of each op, for a first answer.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

import sampling


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a part of the tests, for a first answer")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("quick"):
        sampling.most = 2


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("quick"):
        return
    seen = set()
    kept, left = [], []
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        record = getattr(parameters.get("record"), "name", None)
        key = (item.path, getattr(item, "originalname", item.name), record)
        if key in seen or item.get_closest_marker("long"):
            left.append(item)
        else:
            kept.append(item)
            seen.add(key)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


CHROMIUM = next(
    (p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None
)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window and without a network."""
    if CHROMIUM is None or DRIVER is None:
        missing = "Chromium" if CHROMIUM is None else "chromedriver"
        pytest.skip(f"{missing} was not found: the page is not tested in a browser")
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: pip install 'backlit[browser]'"
    )
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1300,850",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--proxy-server=127.0.0.1:9",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()
