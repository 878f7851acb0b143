import os

import pytest

pytest.register_assert_rewrite("harness")
from harness import Server  # noqa: E402 (after the line above, by which its assertions show their values)


def pytest_configure(config):
    if not os.access(os.environ.get("HOLDFASTD", ""), os.X_OK):
        raise pytest.UsageError("HOLDFASTD does not name the server's program; use run.sh")


@pytest.fixture
def server(tmp_path):
    """Returns a new server, since the document's output supposes one."""
    server = Server(tmp_path)
    try:
        yield server.start()
    finally:
        server.discard()
