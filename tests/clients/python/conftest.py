import os
import uuid

import pytest

pytest.register_assert_rewrite("harness")
from harness import Server, object_id  # noqa: E402 (after the line above, by which its assertions show their values)
from holdfast.v1 import types_pb2  # noqa: E402


def pytest_configure(config):
    if not os.access(os.environ.get("HOLDFASTD", ""), os.X_OK):
        raise pytest.UsageError("HOLDFASTD does not name the server's program; use run.sh")


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("shared"))
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def api(shared_server):
    """Returns stubs on a server that all tests share; each test uses objects of its own."""
    return shared_server.api


@pytest.fixture
def own_server(tmp_path):
    """Returns a server for tests that end it in some way."""
    server = Server(tmp_path)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def make_ref():
    """Returns names of objects that no other test uses."""
    run = uuid.uuid4().hex[:12]
    return lambda name="object", namespace="": types_pb2.ObjectRef(namespace=namespace, name=f"{name}-{run}")


@pytest.fixture
def ref(make_ref):
    return make_ref()


@pytest.fixture
def obj(ref):
    """Returns the same object as `ref`, of class Object."""
    return object_id(ref)


@pytest.fixture
def own_namespace():
    """Returns a namespace in which only this test has objects."""
    return "test-" + uuid.uuid4().hex[:12]
