"""Runs the cases of conformance through the code that grpc_tools generates for Python; conformance.py says how."""

import importlib
import json
import os
import re
import sys

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

TIMEOUT_S = 20


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def channel_of(who):
    """Returns the channel of a principal: "writer", "reader", "nobody", "flaky" and "flaky-reads"."""
    credentials = grpc.ssl_channel_credentials(read(os.environ["HOLDFAST_CA"]).encode())
    if who != "nobody":
        token = read(os.environ["HOLDFAST_READER_TOKEN" if who == "reader" else "HOLDFAST_TOKEN"]).strip()
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
    flaky = who.startswith("flaky")
    config = "service_config.json" if who == "flaky-reads" else "service_config_with_ids.json"
    return grpc.secure_channel(
        os.environ["HOLDFAST_FLAKY" if flaky else "HOLDFAST_ADDRESS"],
        credentials,
        options=[("grpc.service_config", read(os.path.join(os.environ["HOLDFAST_CONFIGS"], config)))],
    )


class Runner:
    def __init__(self):
        self.channels = {}

    def stub(self, service, who):
        if who not in self.channels:
            self.channels[who] = channel_of(who)
        module = re.sub(r"(?<!^)(?=[A-Z])", "_", service).lower()
        generated = importlib.import_module(f"holdfast.v1.{module}_pb2_grpc")
        messages = importlib.import_module(f"holdfast.v1.{module}_pb2")
        return getattr(generated, service + "Stub")(self.channels[who]), messages

    def step(self, step):
        service, name = step["method"].split("/")
        stub, messages = self.stub(service, step.get("as", "writer"))
        method = messages.DESCRIPTOR.services_by_name[service].methods_by_name[name]
        make = lambda value: json_format.ParseDict(value, getattr(messages, method.input_type.name)())
        call = getattr(stub, name)
        request = (
            iter([make(value) for value in step["requests"]]) if method.client_streaming else make(step["request"])
        )
        timeout = step["timeoutMs"] / 1000 if "timeoutMs" in step else TIMEOUT_S
        if not method.server_streaming:
            try:
                reply, done = call.with_call(request, timeout=timeout)
            except grpc.RpcError as error:
                return {"error": outcome_of(error)}
            outcome = {"reply": json_format.MessageToDict(reply)}
            if ("holdfast-replayed", "1") in done.initial_metadata():
                outcome["replayed"] = True
            return outcome
        outcome = {"replies": []}
        stream = call(request, timeout=timeout)
        try:
            for reply in stream:
                outcome["replies"].append(json_format.MessageToDict(reply))
                if len(outcome["replies"]) == step.get("take"):
                    stream.cancel()
                    break
        except grpc.RpcError as error:
            outcome["error"] = outcome_of(error)
        return outcome


def outcome_of(error):
    outcome = {"code": error.code().name}
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    for detail in status_pb2.Status.FromString(details).details if details else ():
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            outcome["reason"] = info.reason
            if info.metadata:
                outcome["metadata"] = dict(info.metadata)
        elif detail.Unpack(bad):
            outcome["fields"] = [violation.field for violation in bad.field_violations]
        elif detail.Unpack(retry):
            outcome["retry"] = True
    return outcome


def at(value, path):
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def main():
    runner = Runner()
    for case in json.loads(read(sys.argv[1]).replace("$RUN", os.environ["HOLDFAST_RUN"])):
        saved, outcomes = {}, []
        for step in case["steps"]:
            text = json.dumps(step)
            for name, value in saved.items():
                text = text.replace("${" + name + "}", value)
            outcome = runner.step(json.loads(text))
            outcomes.append(outcome)
            for name, path in step.get("save", {}).items():
                saved[name] = at(outcome.get("reply", outcome.get("replies")), path)
        print(json.dumps({"case": case["case"], "outcomes": outcomes}), flush=True)


if __name__ == "__main__":
    main()
