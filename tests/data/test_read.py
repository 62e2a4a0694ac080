"""Samples come out the same from every form they are stored in; what is damaged gets one sentence."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.data import LARGEST, Samples, allow_memory, choose_image_range, read, to_range

X = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1)).astype("uint8")
Y = np.array([0, 0, 1, 1, 2, 2])
CLASSES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def model():
    image = keras.Input((4, 4, 1), name="image")
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))


def _png(image):
    return tf.io.encode_png(image).numpy()


def _write_images(folder):
    for number, (x, y) in enumerate(zip(X, Y, strict=True)):
        path = folder / "images" / CLASSES[y] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_png(x))
    (folder / "images" / ".hidden").mkdir()
    (folder / "images" / "notes").mkdir()
    return folder / "images"


def _write_npz(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def _write_table(folder, name, header, labels, delimiter=","):
    rows = [
        delimiter.join([str(label), *map(str, x.ravel())])
        if header
        else delimiter.join([*map(str, x.ravel()), label])
        for x, label in zip(X, map(str, labels), strict=True)
    ]
    names = [delimiter.join(["label", *(f"p{i}" for i in range(16))])] if header else []
    (folder / name).write_text("\n".join([*names, *rows]) + "\n")
    return folder / name


def _feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=value))


def _write_tfrecord(folder, image, names=("image", "label")):
    path = folder / "train.tfrecord-00000-of-00001"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for x, y in zip(X, Y, strict=True):
            feature = {names[0]: _feature(image(x)), names[1]: _feature(int(y))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return path


# A form -> how it is written, and whether the values are bytes of images.
FORMS = {
    "images": (_write_images, True),
    "npz": (lambda folder: _write_npz(folder, x=X, y=Y), True),
    "npz without channels": (lambda folder: _write_npz(folder, x=X[..., 0].astype("float32"), y=Y), False),
    "npz by the input's name": (lambda folder: _write_npz(folder, image=X.astype("float32"), y=Y), False),
    "csv with names": (lambda folder: _write_table(folder, "a.csv", True, Y), False),
    "csv without": (lambda folder: _write_table(folder, "a.csv", False, Y), False),
    "tsv with words": (lambda f: _write_table(f, "a.tsv", True, [CLASSES[y] for y in Y], "\t"), False),
    "tfrecord of png": (lambda folder: _write_tfrecord(folder, _png), True),
    "tfrecord of bytes": (lambda folder: _write_tfrecord(folder, lambda x: x.tobytes()), True),
    "tfrecord of numbers": (
        lambda f: _write_tfrecord(f, lambda x: x.ravel().astype(float), ("x", "y")),
        False,
    ),
    "python": (lambda folder: (X, Y), True),
    "batches": (lambda folder: tf.data.Dataset.from_tensor_slices((X, Y)).batch(4), True),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_samples(form, model, tmp_path):
    write, pixels = FORMS[form]
    samples = read(write(tmp_path), model)
    x = samples.x["image"] if isinstance(samples.x, dict) else samples.x
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(samples.y, Y)
    assert samples.pixels == pixels
    assert samples.classes in ((), CLASSES)
    assert len(samples) == 6


def test_a_function_is_run_from_the_current_folder(model, tmp_path, monkeypatch):
    program = "import numpy as np\ndef load():\n    x = np.ones((4, 16))\n    return (x, [0, 1, 2, 0]), (x[:2], [1, 1])"
    (tmp_path / "my_samples.py").write_text(program)
    monkeypatch.chdir(tmp_path)
    samples = read("my_samples:load", model)
    sys.modules.pop("my_samples")
    assert samples.x.shape == (4, 4, 4, 1) and samples.held_out[0].shape == (2, 4, 4, 1)
    assert str(tmp_path) not in sys.path


def _damage(folder, name, content):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def _header(shape):
    return (
        f"\x93NUMPY\x01\x00v\x00{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(
            127
        ).encode("latin1")
        + b"\n"
    )


# What is wrong -> how it is written, and the message.
WRONG = {
    "nothing there": (lambda f: "no.npz", "There is no file 'no.npz'"),
    "unknown": (
        lambda f: "model.bin",
        "The data must be one of: a folder of images; .* 'model.bin', which is none",
    ),
    "npz without x": (
        lambda f: _write_npz(f, a=X),
        "with arrays 'x' and 'y', or 'image' of the model's inputs",
    ),
    "empty npz": (lambda f: _damage(f, "a.npz", b""), "cannot be read"),
    "liar": (
        lambda f: _damage(f, "a.npy", _header((1 << 40,))),
        "asks for an array of .*, but the file ends before",
    ),
    "labels of another length": (lambda f: _write_npz(f, x=X, y=Y[:3]), "as many samples each"),
    "labels of text": (
        lambda f: _write_npz(f, x=X, y=np.array(list("aabbcc"))),
        "must hold numbers. Got others",
    ),
    "another shape": (
        lambda f: _write_npz(f, x=X[:, :3], y=Y),
        "samples of 4 × 4 × 1, as the model takes. Got 3 × 4",
    ),
    "no images": (lambda f: f, "must hold a folder of images for each class"),
    "damaged image": (
        lambda f: _damage(f, "images/a/1.png", b"\x89PNG broken").parent.parent,
        "1.png is damaged",
    ),
    "words": (lambda f: _damage(f, "a.csv", b"a,b,label\n1,2,0\n1,x,0\n"), "Got 'x' in line 3, column 'b'"),
    "ragged": (lambda f: _damage(f, "a.csv", b"1,2,0\n1,0\n"), "3 fields in each row. Got 2 in line 2"),
    "empty table": (lambda f: _damage(f, "a.csv", b"a,b\n"), "must hold a row for each sample"),
    "binary table": (lambda f: _damage(f, "a.csv", b"\xff\xfe\x00"), "cannot be read"),
    "tfrecord": (lambda f: _damage(f, "a.tfrecord", b"not one, for sure"), "cannot be read"),
    "feature": (
        lambda f: _write_tfrecord(f, _png, ("pic", "label")),
        "feature for the inputs, such as 'image'. Got label",
    ),
    "bytes": (lambda f: _write_tfrecord(f, lambda x: x.tobytes()[:9]), "must be 16 bytes or float32 numbers"),
    "no function": (lambda f: "math:nothing", "must be a function, as package.module:function"),
    "tfds": (lambda f: "tfds:mnist", "needs TensorFlow Datasets. Install it|cannot be fetched"),
    "python": (lambda f: (X, Y[:2]), "a label for each sample. Got 2 labels for 6"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_gets_one_sentence(name, model, tmp_path):
    write, message = WRONG[name]
    with pytest.raises(ValueError, match=message) as caught:
        read(write(tmp_path), model)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_that_takes_too_much_memory_is_refused(tmp_path, model):
    folder = _write_images(tmp_path)
    refused = pytest.raises(ValueError, match=r"a folder of images \(6 of 4 × 4 × 1\) that unpacks to")
    with allow_memory(100), refused:
        read(folder, model)
    assert LARGEST == 2 << 30


@pytest.mark.parametrize("wanted", [(0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)])
def test_the_range_is_the_one_that_the_model_recognizes(wanted):
    """A model that says "bright" above the middle of its range, or outside of it."""
    low, high = wanted
    image = keras.Input((2, 2, 1))
    mean = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(image))
    part = (mean - low) / (high - low)
    scores = keras.layers.Concatenate()([0.6 - part, part - 0.4, keras.ops.abs(part - 0.5) - 0.51])
    x = np.stack([np.full((2, 2, 1), value, "uint8") for value in (10, 60, 200, 250)])
    chosen, words = choose_image_range(keras.Model(image, scores), x, np.array([0, 0, 1, 1]))
    assert chosen == wanted and "100% of 4" in words
    assert to_range(x, chosen).max() <= high


def test_samples_of_several_inputs(tmp_path):
    inputs = [keras.Input((2,), name="a"), keras.Input((3,), name="b")]
    model = keras.Model(inputs, keras.layers.Concatenate()(inputs))
    path = _write_npz(tmp_path, a=np.ones((5, 2)), b=np.ones((5, 3)), y=np.zeros(5))
    samples = read(path, model)
    assert isinstance(samples, Samples) and sorted(samples.x) == ["a", "b"] and len(samples) == 5
