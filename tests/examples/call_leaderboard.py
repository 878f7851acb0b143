"""Calls the server of examples/leaderboard: its own service, over gRPC and HTTP, and what every class has.

Usage: call_leaderboard.py PROGRAM
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from leaderboard.v1 import leaderboard_pb2 as pb
from leaderboard.v1 import leaderboard_pb2_grpc as rpc

from holdfast.v1 import counter_service_pb2, counter_service_pb2_grpc
from holdfast.v1 import object_service_pb2, object_service_pb2_grpc, types_pb2

NO_SIDE_EFFECTS = descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
TIMEOUT_S = 20
SAYS = "serving on "


def check(channel):
    boards = rpc.LeaderboardServiceStub(channel)
    chess = types_pb2.ObjectRef(name="chess")
    for player, score in (("ada", 40), ("bob", 30), ("ada", 10)):
        request = pb.SubmitScoreRequest(object=chess, request_id=f"{player} {score}", player=player, score=score)
        best = boards.SubmitScore(request, timeout=TIMEOUT_S).best_score
        print(f"{player} {score}: best {best}")
        assert best == {"ada": 40, "bob": 30}[player]
    leaders = boards.GetLeaders(pb.GetLeadersRequest(object=chess, count=10), timeout=TIMEOUT_S).leaders
    print("leaders:", ", ".join(f"{leader.player} {leader.score}" for leader in leaders))
    assert [(leader.player, leader.score) for leader in leaders] == [("ada", 40), ("bob", 30)]
    try:
        boards.GetLeaders(pb.GetLeadersRequest(object=chess, count=0), timeout=TIMEOUT_S)
        raise AssertionError("a count of 0 was taken")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error

    # The methods that every class has, and the built-in classes beside it.
    objects = object_service_pb2_grpc.ObjectServiceStub(channel)
    described = objects.DescribeObject(
        object_service_pb2.DescribeObjectRequest(
            object=types_pb2.ObjectId(name="chess", object_class="Leaderboard")), timeout=TIMEOUT_S)
    print(f"described: exists {described.exists}, schema version {described.schema_version}, an alarm is set "
          f"{described.HasField('alarm')}")
    assert (described.exists, described.schema_version, described.HasField("alarm")) == (True, 1, True)
    counters = counter_service_pb2_grpc.CounterServiceStub(channel)
    value = counters.Increment(
        counter_service_pb2.IncrementRequest(object=types_pb2.ObjectRef(name="visits")), timeout=TIMEOUT_S).value
    assert value == 1, value


def check_http(origin):
    """The console's page gets the program's own methods with all that their forms need, and can call them."""
    pool = descriptor_pool.DescriptorPool()
    for name in ("api", "services"):
        with urllib.request.urlopen(f"{origin}/console/{name}.binpb", timeout=TIMEOUT_S) as answer:
            for file in descriptor_pb2.FileDescriptorSet.FromString(answer.read()).file:
                pool.Add(file)
    service = pool.FindServiceByName("leaderboard.v1.LeaderboardService")
    print("methods for the console:", ", ".join(method.name for method in service.methods))
    assert [method.name for method in service.methods] == ["SubmitScore", "GetLeaders"]
    assert service.methods_by_name["GetLeaders"].GetOptions().idempotency_level == NO_SIDE_EFFECTS
    fields = service.methods_by_name["SubmitScore"].input_type.fields_by_name
    assert fields["object"].message_type.full_name == "holdfast.v1.ObjectRef"
    assert pool.FindServiceByName("holdfast.v1.CounterService")
    call = urllib.request.Request(
        f"{origin}/leaderboard.v1.LeaderboardService/GetLeaders",
        data=b'{"object":{"name":"chess"},"count":1}',
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(call, timeout=TIMEOUT_S) as answer:
        leaders = json.load(answer)
    print("the first leader over HTTP:", leaders)
    assert leaders == {"leaders": [{"player": "ada", "score": "40"}]}


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/holdfast.textproto", "w", encoding="utf-8") as config:
            config.write(f'listen: "127.0.0.1:0"\ndata_dir: "{folder}/data"\nhttp {{ listen: "127.0.0.1:0" }}\n')
        with open(f"{folder}/log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(
                [program, "holdfast.textproto"], cwd=folder, stdout=subprocess.PIPE, stderr=log, encoding="utf-8"
            )
        try:
            line = server.stdout.readline().strip()
            with open(f"{folder}/log", encoding="utf-8") as log:
                lines = log.read()
            assert line.startswith(SAYS), line + lines
            with grpc.insecure_channel(line.removeprefix(SAYS)) as channel:
                check(channel)
            check_http("http://" + re.search(r"event=http listen=(\S+)", lines).group(1))
            server.send_signal(signal.SIGTERM)
            assert server.wait(TIMEOUT_S) == 0
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main(sys.argv[1])
