"""What is done to files: bytes changed, ends cut off, fields set to what no program writes.

A mutation takes the content of a sound file and a random generator, and returns other content. All are pure.
"""

import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Mutation = Callable[[bytes, random.Random], bytes]

# Numbers that a reader may stumble over, and names that do something to a terminal, a page or a path.
NUMBERS = (0, 1, -1, 2, 7, 127, 255, 2**15, 2**16, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**62)
REALS = (0.0, -1.0, 1e-45, 1e38, float("nan"), float("inf"), -float("inf"))
TEXTS = ("", "\x1b[2J", "<script>alert(1)</script>", "../../outside", "a" * 5000, "\x00", "é", "x:y/z;w")


def flip_bytes(content: bytes, draw: random.Random) -> bytes:
    """Some bytes become others."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16, 64))):
        changed[draw.randrange(len(changed))] = draw.choice((0, 255, 128, draw.randrange(256)))
    return bytes(changed)


def cut(content: bytes, draw: random.Random) -> bytes:
    """The file ends early."""
    return content[: draw.randrange(len(content))]


def splice(content: bytes, draw: random.Random) -> bytes:
    """A piece is left out, or is there twice."""
    begin = draw.randrange(len(content))
    end = min(len(content), begin + draw.choice((1, 2, 4, 32, 1024)))
    return content[:begin] + content[begin:end] * draw.choice((0, 2)) + content[end:]


def flip_bytes_early(content: bytes, draw: random.Random) -> bytes:
    """Bytes of the head become others, where what a file says of itself stands."""
    head = min(len(content), 512)
    return flip_bytes(content[:head], draw) + content[head:]


BYTES: tuple[Mutation, ...] = (flip_bytes, flip_bytes_early, cut, splice)


def change_table(content: bytes, draw: random.Random) -> bytes:
    """A few fields of the flatbuffer of a .tflite file, wherever they are, become something else."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    for _ in range(20):  # some values cannot be written
        model = schema.ModelT.InitFromPackedBuf(content)
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            fields = list(_fields(model))
            owner, name = draw.choice(draw.choice(_by_class(fields)))
            _set(owner, name, draw)
        try:
            builder = flatbuffers.Builder(1024)
            builder.Finish(model.Pack(builder), b"TFL3")
            return bytes(builder.Output())
        except Exception:  # why all: struct.error, TypeError, AssertionError, OverflowError, ...
            continue
    return flip_bytes(content, draw)


def _fields(table: Any) -> Any:
    """Every field of a table and of the tables in it."""
    for name, value in vars(table).items():
        yield table, name
        for one in value if isinstance(value, list) else [value]:
            if type(one).__module__ == type(table).__module__:
                yield from _fields(one)


def _by_class(fields: list[tuple[Any, str]]) -> list[list[tuple[Any, str]]]:
    """The fields in groups, so that a file of many tensors does not leave the rest alone."""
    groups: dict[tuple[str, str], list[tuple[Any, str]]] = {}
    for owner, name in fields:
        groups.setdefault((type(owner).__name__, name), []).append((owner, name))
    return list(groups.values())


def _set(owner: Any, name: str, draw: random.Random) -> None:
    value = getattr(owner, name)
    if isinstance(value, bytes):
        setattr(owner, name, draw.choice(TEXTS).encode())
    elif isinstance(value, bool):
        setattr(owner, name, not value)
    elif isinstance(value, int):
        setattr(owner, name, draw.choice((draw.choice(NUMBERS), value + 1, value - 1)))
    elif isinstance(value, float):
        setattr(owner, name, draw.choice(REALS))
    elif isinstance(value, (list, np.ndarray)):
        setattr(owner, name, _changed_list(value, draw))
    else:
        setattr(owner, name, None)


def _changed_list(value: Any, draw: random.Random) -> Any:
    items = list(value)
    how = draw.choice(("one", "one", "one", "empty", "none", "cut", "twice", "reversed", "longer"))
    if how == "none":
        return None
    if how == "one" and items and isinstance(items[0], (int, float, np.generic)):
        kind = REALS if isinstance(items[0], (float, np.floating)) else NUMBERS
        items[draw.randrange(len(items))] = draw.choice(kind)
        fits = isinstance(value, np.ndarray) and value.dtype.kind in "iu"
        return np.array(items).astype(value.dtype) if fits else items
    items = {
        "empty": [],
        "cut": items[: len(items) // 2],
        "twice": items + items,
        "reversed": items[::-1],
        "longer": items + items[:1],
    }.get(how, items[::-1])
    return np.array(items, value.dtype) if isinstance(value, np.ndarray) else items


def change_member(content: bytes, draw: random.Random) -> bytes:
    """One file of a zip archive is changed, and the archive is sound otherwise."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = draw.choice(sorted(members))
    held = members[name]
    if name.endswith(".json") and draw.random() < 0.9:
        members[name] = change_json(held, draw)
    elif name.endswith(".npy") and draw.random() < 0.5:
        members[name] = change_header(held, draw)
    else:
        members[name] = draw.choice(BYTES)(held, draw)
    how = draw.choice(("same", "same", "same", "left out", "renamed", "more"))
    if how == "left out":
        del members[name]
    elif how == "renamed":
        members[draw.choice(("../outside.npy", "/tmp/outside.npy", "x/y.npy", "x"))] = members.pop(name)
    elif how == "more":
        members[draw.choice(("../outside", "assets/../../x", "z" * 300))] = b"more"
    stream = io.BytesIO()
    packing = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for key, value in members.items():
            archive.writestr(key, value)
    return stream.getvalue()


def bomb(content: bytes, draw: random.Random) -> bytes:
    """Members of a zip archive become gigabytes of zeros, packed small; the smaller ones to keep this fast."""
    size = draw.choice((1, 64, 300)) << 20
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(stream, "w") as other:
        chosen = draw.choice(archive.namelist())
        for name in archive.namelist():
            held = archive.read(name)
            if name == chosen:
                other.writestr(name, held + bytes(size), zipfile.ZIP_DEFLATED, 1)
            else:
                other.writestr(name, held)
    return stream.getvalue()


def change_json(content: bytes, draw: random.Random) -> bytes:
    """A value of a JSON text becomes another one."""
    try:
        root = json.loads(content)
    except ValueError:
        return flip_bytes(content, draw)
    for _ in range(draw.choice((1, 1, 2))):
        owner, key = draw.choice([*_places(root)] or [(None, None)])
        if owner is None:
            continue
        if draw.random() < 0.1:
            del owner[key]
        else:
            owner[key] = draw.choice(
                (
                    draw.choice(NUMBERS),
                    draw.choice(REALS),
                    draw.choice(TEXTS),
                    None,
                    [],
                    {},
                    [owner[key]],
                    True,
                    [10**5, 10**5],
                    -1.5,
                )
            )
    return json.dumps(root).encode()


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(pairs):
        yield value, key
        yield from _places(one)


def change_header(content: bytes, draw: random.Random) -> bytes:
    """The head of a .npy file says something else of what follows."""
    shapes = ("()", "(0,)", "(-1,)", "(1000000000,)", "(1000000, 1000000)", "(2, 3)", "'x'", "(1e9,)", "None")
    kinds = ("'|O'", "'<f4'", "'<U9'", "'<c16'", "'|b1'", "'>i8'", "[('a', '<f4')]", "'<M8[ns]'", "'?!'")
    text = (
        f"{{'descr': {draw.choice(kinds)}, 'fortran_order': {draw.choice(('True', 'False', '7'))}, "
        f"'shape': {draw.choice(shapes)}, }}\n"
    )
    length = draw.choice((len(text), len(text), 0, 65535))
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + text.encode("latin1") + content[80:]


def change_lines(content: bytes, draw: random.Random) -> bytes:
    """Lines of a text are left out, moved, deepened, or their values become others."""
    lines = content.decode().splitlines()
    at = draw.randrange(len(lines))
    key = lines[at].partition(":")[0]
    words = (
        *map(str, NUMBERS),
        *map(str, REALS),
        *map(json.dumps, TEXTS),
        "[" * 900,
        "{a: {b: c}}",
        "&x [*x]",
        "*x",
        "!!python/object/apply:os.system ['touch /tmp/outside']",
        "!!binary aGk=",
        "!!timestamp 2001-99-99",
        "2001-99-99",
        "9" * 5000,
        "1e999",
        "? ",
        "|",
        "\t",
        "null",
        "~",
        "0x1F",
        "2:4",
        "on",
        "<<: {}",
    )
    how = draw.choice(("value", "value", "value", "value", "out", "twice", "deeper", "moved"))
    if how == "value":
        lines[at] = f"{key}: {draw.choice(words)}"
    elif how == "out":
        del lines[at]
    elif how == "twice":
        lines.insert(at, lines[at])
    elif how == "deeper":
        lines[at] = "    " + lines[at]
    else:
        lines.insert(draw.randrange(len(lines)), lines.pop(at))
    return "\n".join(lines).encode()


def change_packed(content: bytes, draw: random.Random) -> bytes:
    """The description of a packed file, before it is deflated, becomes another one."""
    from tfopt.compression._container import _HEAD, deflate

    head = list(_HEAD.unpack_from(content))
    end = _HEAD.size + head[-1]
    description = zlib.decompress(content[_HEAD.size : end], -15)
    if draw.random() < 0.5:
        place = draw.randrange(1, len(head))
        head[place] = draw.choice(NUMBERS) % (256, 256, 256, 2**16, 2**32, 2**32, 2**32, 2**32)[place]
    else:
        description = draw.choice(BYTES)(description, draw)
    deflated = deflate(description)
    if draw.random() < 0.8:
        head[-2:] = len(description), len(deflated)
    return _HEAD.pack(*head) + deflated + content[end:]


# Ending -> what is done to such a file.
MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    ".tflite": (*BYTES, *[change_table] * 6),
    ".keras": (*BYTES, *[change_member] * 5, bomb),
    ".npz": (*BYTES, *[change_member] * 5, bomb),
    ".yaml": (*BYTES, *[change_lines] * 8),
    ".json": (*BYTES, *[change_json] * 8),
    ".tfpk": (*BYTES, *[change_packed] * 3),
}


def mutant(content: bytes, ending: str, number: int) -> bytes:
    """A changed file; the same for the same number.

    Args:
        content: the sound file.
        ending: its ending, as ".tflite".
        number: which one.
    """
    draw = random.Random(number)
    changed = draw.choice(MUTATIONS[ending])(content, draw)
    return changed if changed else b"\0"
