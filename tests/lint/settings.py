"""The settings of holdfastd as proto/holdfast/config/v1 says them: their defaults, bounds and comments.

protoc prints its own descriptors as text, with the options and the comments, so no library of Python is needed.
"""

import ast
import dataclasses
import pathlib
import re
import subprocess

CONFIG = "holdfast/config/v1/config.proto"
PACKAGE = "holdfast.config.v1"
OPTION = "[holdfast.config.v1.setting]"
MESSAGE_TYPES, FIELDS = 4, 2  # numbers of fields in descriptor.proto, of which its paths consist


@dataclasses.dataclass
class Setting:
    section: str  # "" for a field of Config
    name: str
    type: str
    comment: str
    option: dict  # of setting.proto; empty if the field has none
    values: list  # of an enum, without their prefix

    @property
    def path(self):
        return f"{self.section}.{self.name}" if self.section else self.name

    def is_number(self):
        return self.type not in ("TYPE_BOOL", "TYPE_STRING", "TYPE_ENUM", "TYPE_MESSAGE")

    def value(self, key):
        """The default, least, most or chosen_most as people write it: 4 MiB, 15 s."""
        return with_unit(int(self.option[key][0]), self.option.get("unit", [""])[0])


@dataclasses.dataclass
class Section:
    name: str  # "" for Config itself
    comment: str
    settings: list


SCALES = {
    "UNIT_BYTES": ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes")),
    "UNIT_MS": ((3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")),
    "UNIT_US": ((1_000_000, "s"), (1_000, "ms"), (1, "us")),
}


def with_unit(value, unit):
    """The value in the largest unit in which it is a whole number. A number of things, and 0, have no unit."""
    for scale, name in SCALES.get(unit, ()):
        if value and value % scale == 0:
            return "1 byte" if (value, name) == (1, "bytes") else f"{value // scale:,} {name}"
    return f"{value:,}"


def parse(tokens):
    """{name: [values]} of a message in protobuf's text format; a value is a string or such a dictionary."""
    message = {}
    for name in tokens:
        if name == "}":
            break
        separator = next(tokens)
        if separator == "{":
            value = parse(tokens)
        else:
            value = next(tokens)
            if value.startswith('"'):
                value = ast.literal_eval("b" + value).decode()
        message.setdefault(name, []).append(value)
    return message


def descriptors(proto_root):
    """The FileDescriptorProtos of config.proto and of what it imports, with their comments, as parse() returns them."""
    protoc = ["protoc", "-I", str(proto_root)]
    binary = subprocess.run(
        [*protoc, "--include_imports", "--include_source_info", "--descriptor_set_out=/dev/stdout", CONFIG],
        check=True, capture_output=True).stdout
    text = subprocess.run(
        [*protoc, "--decode=google.protobuf.FileDescriptorSet", "holdfast/config/v1/setting.proto",
         "google/protobuf/descriptor.proto"],
        input=binary, check=True, capture_output=True).stdout.decode()
    tokens = re.findall(r'"(?:[^"\\]|\\.)*"|\[[\w.]+\]|[{}:]|[^\s{}:"]+', text)
    return parse(iter(tokens))["file"]


def inner_type(field):
    """The name of the message or enum that the field has, without its package."""
    return field.get("type_name", [""])[0].rpartition(".")[2]


def sections(root):
    """The sections of the configuration, in the order of Config, which is the first and has no name."""
    types, comments, enums = {}, {}, {}
    for file in descriptors(pathlib.Path(root) / "proto"):
        if file["package"] != [PACKAGE]:
            continue
        for index, message in enumerate(file.get("message_type", [])):
            types[message["name"][0]] = message
            for location in file["source_code_info"][0]["location"]:
                path = [int(number) for number in location.get("path", [])]
                if path[:2] == [MESSAGE_TYPES, index]:
                    text = location.get("leading_comments", [""])[0]
                    comments[message["name"][0], *path[2:]] = " ".join(text.split())
            for enum in message.get("enum_type", []):
                prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum["name"][0]).upper() + "_"
                values = [value["name"][0].removeprefix(prefix) for value in enum["value"] if value["number"] != ["0"]]
                enums[enum["name"][0]] = values

    def settings(section, type_name):
        return [
            Setting(section, field["name"][0], field["type"][0], comments[type_name, FIELDS, number],
                    field.get("options", [{}])[0].get(OPTION, [{}])[0], enums.get(inner_type(field), []))
            for number, field in enumerate(types[type_name].get("field", []))
        ]

    def section_of(name, type_name):
        """The section and, after it, those of the messages in it."""
        message = types[type_name]
        section = Section(name, comments[type_name,], [])
        inner_sections = []
        for setting, field in zip(settings(name, type_name), message.get("field", [])):
            inner = inner_type(field)
            if setting.type == "TYPE_MESSAGE" and types[inner].get("field"):
                inner_sections += section_of(setting.path, inner)
            else:
                section.settings.append(setting)
        return [section, *inner_sections]

    return section_of("", "Config")
