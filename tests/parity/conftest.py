"""PyTorch is installed by `make parity` only: every other run leaves these files out."""


def pytest_ignore_collect(collection_path, config):
    return True if "not parity" in config.getoption("markexpr") else None
