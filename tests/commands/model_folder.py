"""Copies of the golden checkpoints, to be damaged: reading and writing of safetensors files, indices and configs."""

import json
import pathlib
import shutil
import struct

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "checkpoints"


def read_tensors(path):
    """{name: [dtype, shape, bytes]} in the order of their places in the file."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    places = sorted(header.items(), key=lambda entry: entry[1]["data_offsets"])
    return {name: [at["dtype"], at["shape"], raw[8 + length + at["data_offsets"][0] : 8 + length + at["data_offsets"][1]]] for name, at in places}


def lay_out(tensors):
    """The header object of a file that holds the tensors one after the other."""
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    return header


def file_bytes(header, data):
    """A safetensors file; a header that is not bytes is written as JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class ModelFolder:
    """A copy of a golden checkpoint in `folder`; what is not damaged are links to the original."""

    def __init__(self, folder, name="short"):
        self.path, self.source = folder / "model", GOLDEN / name
        self.path.mkdir()
        shutil.copy(self.source / "config.json", self.path)
        for shard in [*self.source.glob("model*.safetensors"), *self.source.glob("*.index.json")]:
            (self.path / shard.name).symlink_to(shard)
        self.tokens = self.source / "tokens.json"

    def __truediv__(self, name):
        return self.path / name

    def replace(self, name, content):
        """Writes a file in place of the link of that name."""
        path = self.path / name
        path.unlink(missing_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else json.dumps(content).encode())

    def config(self, **changes):
        """Changes keys of config.json; None removes one. A nested key is written with two underscores."""
        config = json.loads((self.path / "config.json").read_text())
        for key, value in changes.items():
            inside, part = config, key
            while "__" in part:
                outer, part = part.split("__", 1)
                inside = inside[outer]
            if value is None:
                inside.pop(part, None)
            else:
                inside[part] = value
        self.replace("config.json", config)

    def tensors(self, change, name="model.safetensors"):
        """Rewrites a file with what change(tensors) leaves."""
        tensors = read_tensors(self.path / name)
        change(tensors)
        self.replace(name, file_bytes(lay_out(tensors), b"".join(data for _, _, data in tensors.values())))

    def header(self, change, name="model.safetensors"):
        """Rewrites a file with the header that change(header) returns (an object or bytes), its data as they are."""
        tensors = read_tensors(self.path / name)
        header = lay_out(tensors)
        changed = change(header)
        self.replace(name, file_bytes(header if changed is None else changed, b"".join(data for _, _, data in tensors.values())))

    def index(self, change):
        index = json.loads((self.path / "model.safetensors.index.json").read_text())
        changed = change(index)
        self.replace("model.safetensors.index.json", index if changed is None else changed)
