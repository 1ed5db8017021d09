"""What all tests share: `--quick`, and a browser.

`--quick` is a first answer: of each test the first case, of each op two, of each class that a test
takes as `cls` one, nothing that is slow. At its end it says what it left out.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest

import sampling
from backlit.array_api.dialects import SPOKEN


def speaking(request: pytest.FixtureRequest) -> Iterator[None]:
    """PyTorch is spoken in the tests that are about that, whoever imported `backlit.torch`."""
    with pytest.MonkeyPatch.context() as patch:
        if not {"dialect", "parity", "torch"} & {*request.path.parts}:
            patch.setattr(SPOKEN, "pytorch", False)
        yield


#: For what a file's tests share, and for each test, because one before it may import the dialect.
one_dialect_in_a_file = pytest.fixture(autouse=True, scope="module")(speaking)
one_dialect = pytest.fixture(autouse=True)(speaking)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="a part of the tests, for a first answer")


#: Of the last selection: how many tests were left out as what.
LEFT: Counter[str] = Counter()


def pytest_configure(config: pytest.Config) -> None:
    sampling.quick = config.getoption("quick")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, Any, list[Any]]:
    """With `--doctest-modules`, too, nothing here is imported that is no test."""
    found = yield
    return [collector for collector in found if type(collector) is pytest.Module]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("quick"):
        return
    seen = set()
    kept, left = [], []
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        of_each = getattr(parameters.get("record"), "name", None), parameters.get("cls")
        key = (item.path, getattr(item, "originalname", item.name), of_each)
        reason = next((m for m in ("long", "slow") if item.get_closest_marker(m)), None)
        if key in seen and reason is None:
            reason = "more"
        if reason is None:
            kept.append(item)
            seen.add(key)
        else:
            left.append(item)
            LEFT[reason] += 1
    items[:] = kept
    config.hook.pytest_deselected(items=left)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """With several processes, each of them has made the same selection."""
    if not LEFT:
        LEFT.update(getattr(node, "workeroutput", {}).get("left", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = dict(LEFT)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("quick"):
        return
    terminalreporter.section("not run", sep="-")
    for line in (
        f"make test: {LEFT['slow']} slow tests, {LEFT['more']} further cases of tests that ran, "
        "all but two of the cases of each op, "
        "the examples in docstrings",
        f"make long: {LEFT['long']} tests that check one thing in many ways",
        "make parity: comparisons with PyTorch",
    ):
        terminalreporter.line(line)


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
