"""The claims of docs/cookbook.md about crashes: lost replies, a killed server, clients that stop anywhere."""

import importlib
import json
import pathlib
import runpy
import sys
import threading
import types

import grpc
import pytest

import recipes

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"
SHARED, RECIPES = recipes.parse(DOCUMENT.read_text())
WATCH_TIMEOUT_S = 20
KILLED_AFTER_CALL = 3  # in each recipe the call is a change, and many follow


class WatchDeadline(grpc.UnaryStreamClientInterceptor):
    """A missing alarm fails a test instead of stopping it."""

    def intercept_unary_stream(self, continuation, client_call_details, request):
        return continuation(client_call_details._replace(timeout=WATCH_TIMEOUT_S), request)


@pytest.fixture
def cookbook(server, tmp_path, monkeypatch):
    """Returns the shared module, in this process, beside the recipes for import; its clients call `server`."""
    names = ["cookbook"] + [recipe.file_name.removesuffix(".py") for recipe in RECIPES]
    for name, code in zip(names, [SHARED] + [recipe.code for recipe in RECIPES]):
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HOLDFAST_SERVER", server.address)
    module = importlib.import_module("cookbook")
    connect = module.connect
    monkeypatch.setattr(module, "connect", lambda: grpc.intercept_channel(connect(), WatchDeadline()))
    yield module
    module.channel.close()
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.file_name.removesuffix(".py") for recipe in RECIPES])
def test_it_prints_the_same_when_each_reply_is_lost_once_and_the_server_killed(
    server, cookbook, tmp_path, monkeypatch, capsys, recipe
):
    read, lock, calls = cookbook.read, threading.Lock(), 0

    def read_with_a_lost_reply(method, request, patience_s=300):
        nonlocal calls
        read(method, request)  # this reply is lost
        with lock:
            calls += 1
            if calls == KILLED_AFTER_CALL:
                server.kill()
                server.start_again()
        return read(method, request)

    monkeypatch.setattr(cookbook, "read", read_with_a_lost_reply)
    runpy.run_path(str(tmp_path / recipe.file_name), run_name="__main__")
    assert calls > KILLED_AFTER_CALL
    assert capsys.readouterr().out == recipe.output


def test_a_message_that_is_sent_again_when_its_id_is_forgotten_arrives_once(cookbook, monkeypatch):
    transfer = importlib.import_module("transfer")
    transfer.open_account("ada", 100)
    transfer.open_account("bob", 0)
    transfer.transfer("ada", "bob", 30)
    transfer.send_outbox(transfer.account("ada"))

    def change_with_another_id(method, request):
        request.request_id = ""
        return cookbook.change(method, request)

    monkeypatch.setattr(transfer, "change", change_with_another_id)
    transfer.send_outbox(transfer.account("ada"))
    assert (transfer.balance("ada"), transfer.balance("bob")) == (70, 30)
    transfer.transfer("ada", "bob", 1)
    transfer.send_outbox(transfer.account("ada"))
    assert (transfer.balance("ada"), transfer.balance("bob")) == (69, 31), "messages that are new still arrive"


def test_the_id_of_a_message_is_enough_while_the_server_knows_it(cookbook, monkeypatch):
    transfer = importlib.import_module("transfer")
    transfer.open_account("ada", 100)
    transfer.open_account("bob", 0)
    transfer.transfer("ada", "bob", 30)

    def change_without_a_condition(method, request):
        request.ClearField("preconditions")
        return cookbook.change(method, request)

    monkeypatch.setattr(transfer, "change", change_without_a_condition)
    transfer.send_outbox(transfer.account("ada"))
    transfer.send_outbox(transfer.account("ada"))
    assert (transfer.balance("ada"), transfer.balance("bob")) == (70, 30)


def test_an_outbox_of_more_than_a_page_is_emptied(cookbook, monkeypatch):
    transfer = importlib.import_module("transfer")
    monkeypatch.setattr(transfer, "PAGE", 2)
    transfer.open_account("ada", 100)
    transfer.open_account("bob", 0)
    for _ in range(5):
        transfer.transfer("ada", "bob", 1)
    for delivery in cookbook.watch("bank", "account/"):
        transfer.relay(delivery)
        if transfer.balance("bob") == 5:
            break
    assert cookbook.query(transfer.account("ada"), cookbook.sql("SELECT * FROM outbox")) == []


def test_a_job_that_always_fails_lets_the_next_one_pass(cookbook):
    jobs = importlib.import_module("jobs")
    queue = jobs.queue_of("ada")
    jobs.enqueue(queue, "bad")
    jobs.enqueue(queue, "good")
    done = []

    def do(task, attempt):
        if task == "bad":
            raise ValueError("not this one")
        done.append((task, attempt))
        return task

    for _, delivery in zip(range(7), cookbook.watch("work", "jobs/")):  # five attempts, the other job, an empty line
        if not jobs.work_on(delivery, do):
            break
        if not done:  # takes the place of the retry, which comes later and later
            request = cookbook.pb.SetAlarmRequest(object=queue, scheduled_time=cookbook.AT_ONCE)
            cookbook.change(cookbook.objects.SetAlarm, request)
    assert done == [("good", 1)]
    assert cookbook.query(queue, cookbook.sql("SELECT task, attempts FROM jobs")) == [("bad", 5)]


def test_jobs_queued_while_a_worker_looks_at_an_empty_line_are_announced(cookbook, monkeypatch):
    jobs = importlib.import_module("jobs")
    queue = jobs.queue_of("ada")
    request = cookbook.pb.SetAlarmRequest(object=queue, scheduled_time=cookbook.AT_ONCE)
    cookbook.change(cookbook.objects.SetAlarm, request)
    acknowledge = jobs.acknowledge

    def acknowledge_late(delivery):
        jobs.enqueue(queue, "owl")
        acknowledge(delivery)

    monkeypatch.setattr(jobs, "acknowledge", acknowledge_late)
    watch = cookbook.watch("work", "jobs/")
    assert not jobs.work_on(next(watch), lambda task, attempt: task)
    assert jobs.work_on(next(watch), lambda task, attempt: task)
    assert cookbook.query(queue, cookbook.sql("SELECT result FROM results")) == [("owl",)]


def test_a_watch_goes_on_over_another_channel_when_the_server_stops(server, cookbook, monkeypatch):
    jobs = importlib.import_module("jobs")
    queue = jobs.queue_of("ada")
    connect, channels = cookbook.connect, []
    monkeypatch.setattr(cookbook, "connect", lambda: channels.append(connect()) or channels[-1])
    watch = cookbook.watch("work", "jobs/")
    for stops in (1, 2):
        jobs.enqueue(queue, f"job {stops}")
        assert jobs.work_on(next(watch), lambda task, attempt: task)
        cookbook.acknowledge(next(watch))  # the line is empty
        assert len(channels) == stops
        server.stop()
        server.start_again()
    assert [result for (result,) in cookbook.query(queue, cookbook.sql("SELECT result FROM results ORDER BY id"))] == [
        "job 1",
        "job 2",
    ]


class TestSessions:
    @pytest.fixture
    def sessions(self, cookbook):
        return importlib.import_module("sessions")

    @pytest.fixture
    def signed_in(self, sessions):
        return sessions.sign_in("ada")

    @pytest.fixture
    def deliveries(self, cookbook, signed_in):
        return cookbook.watch("sessions", "session/")

    def use_by_a_late_clock(self, sessions, monkeypatch, session_id):
        """Uses the session by a client whose clock is late: by that clock half of the session's life is left."""
        entries = sessions.read(
            sessions.objects.GetEntries,
            sessions.pb.GetEntriesRequest(object=sessions.session(session_id), keys=["session"]),
        ).entries
        late_us = json.loads(entries[0].value)["end_us"] - sessions.LIFE_US // 2
        with monkeypatch.context() as patched:
            patched.setattr(sessions, "time", types.SimpleNamespace(time_ns=lambda: late_us * 1000))
            assert sessions.use(session_id) == "ada"

    def left(self, cookbook):
        request = cookbook.pb.ListObjectsRequest(namespace="sessions")
        return len(cookbook.objects.ListObjects(request, timeout=5).objects)

    def test_one_that_is_used_while_its_alarm_is_out_stays(
        self, cookbook, sessions, signed_in, deliveries, monkeypatch
    ):
        delivery = next(deliveries)
        self.use_by_a_late_clock(sessions, monkeypatch, signed_in)
        sessions.expire(delivery)
        assert sessions.load(sessions.session(signed_in))[0] is not None
        sessions.expire(next(deliveries))
        assert self.left(cookbook) == 0

    def test_one_that_is_used_while_it_is_removed_stays(self, cookbook, sessions, signed_in, deliveries, monkeypatch):
        delivery = next(deliveries)
        load = sessions.load

        def load_before_a_use(obj):
            found = load(obj)
            monkeypatch.setattr(sessions, "load", load)
            self.use_by_a_late_clock(sessions, monkeypatch, signed_in)
            return found

        monkeypatch.setattr(sessions, "load", load_before_a_use)
        sessions.expire(delivery)
        assert sessions.load(sessions.session(signed_in))[0] is not None
        sessions.expire(next(deliveries))
        assert self.left(cookbook) == 0

    def test_what_a_crash_left_of_a_removal_is_removed_and_cannot_be_used(
        self, cookbook, sessions, signed_in, deliveries, monkeypatch
    ):
        delivery = next(deliveries)

        def crash(method, request):
            if method == cookbook.objects.Cleanup:
                raise InterruptedError("the client ends here")
            return cookbook.change(method, request)

        with monkeypatch.context() as patched:
            patched.setattr(sessions, "change", crash)
            with pytest.raises(InterruptedError):
                sessions.expire(delivery)
        assert self.left(cookbook) == 1
        assert sessions.use(signed_in) is None
        sessions.expire(delivery)
        assert self.left(cookbook) == 0


def test_one_cart_is_ordered_once_by_two_devices_and_an_empty_one_is_not(cookbook):
    cart = importlib.import_module("cart")
    ada = cart.cart_of("ada")
    with pytest.raises(ValueError, match="empty"):
        cart.check_out(ada, "order-1")
    cookbook.change(cookbook.objects.ApplyBatch, cart.add("pear", 1, ada))
    with cart.concurrent.futures.ThreadPoolExecutor(8) as devices:
        orders = set(devices.map(lambda number: cart.check_out(ada, f"order-{number}"), range(8)))
    assert len(orders) == 1


def test_a_refusal_that_no_repetition_can_help_is_not_repeated(cookbook):
    calls = 0

    def method(request, **options):
        nonlocal calls
        calls += 1
        return cookbook.objects.ExecuteSql(request, **options)

    request = cookbook.pb.ExecuteSqlRequest(statements=[cookbook.sql("SELECT 1")])
    with pytest.raises(grpc.RpcError) as raised:
        cookbook.read(method, request)
    assert (cookbook.reason(raised.value), calls) == ("INVALID_FIELD", 1)
