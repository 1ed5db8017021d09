"""`--quick`: one case of each test, and of each op, for a first answer within a minute."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="the first case of each test function (of op tests: of each op), none marked slow",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("quick"):
        return
    seen = set()
    kept, left = [], []
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        record = getattr(parameters.get("record"), "name", None)
        key = (item.path, getattr(item, "originalname", item.name), record)
        slow = item.get_closest_marker("slow") or item.get_closest_marker("long")
        (left if slow or key in seen else kept).append(item)
        if not slow:
            seen.add(key)
    items[:] = kept
    config.hook.pytest_deselected(items=left)
