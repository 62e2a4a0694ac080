"""Tables of numbers with a column of labels."""

import csv
from pathlib import Path

import numpy as np

from tfopt.data._check_file import check_file, reason
from tfopt.data._samples import Samples, Wanted

_LABELS = ("label", "labels", "target", "class", "y")


def read_csv(path: str, wanted: Wanted) -> Samples:
    """Inputs and labels from a table: a row for each sample, all columns but that of the labels are its inputs.

    The column of the labels is the one that the user names, else one called `label`, `labels`, `target`, `class` or
    `y`, else the last. The first row may name the columns. Labels that are no numbers are numbered in the order of
    the alphabet.

    Args:
        path: the file: fields parted by commas, or by tabs if it ends in .tsv.
        wanted: the model and the user's names.

    Raises:
        ValueError: there is no such file, or a field in it is no number: named by line and column.
    """
    check_file(path, "The '--data' flag", "a .csv or .tsv file")
    delimiter = "\t" if path.lower().endswith(".tsv") else ","
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, delimiter=delimiter)
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"The table {path!r} cannot be read: {reason(error)}") from error
    names: list[str] = []
    if rows and all(_number(field) is None for field in rows[0][1]):
        names = [field.strip() for field in rows.pop(0)[1]]
    if not rows:
        raise ValueError(f"The table {path!r} must hold a row for each sample. Got none.")
    width = len(rows[0][1])
    column = _label_column(names, width, wanted, path)
    labels = []
    numbers = np.empty((len(rows), width - 1), "float32")
    for index, (line, row) in enumerate(rows):
        if len(row) != width:
            raise ValueError(
                f"The table {path!r} must have {width} fields in each row. Got {len(row)} in line {line}."
            )
        labels.append(row.pop(column).strip())
        for place, field in enumerate(row):
            value = _number(field)
            if value is None:
                at = place + (place >= column)
                name = repr(names[at]) if at < len(names) else at + 1
                raise ValueError(
                    f"The table {path!r} must hold numbers. Got {field!r} in line {line}, column {name}."
                )
            numbers[index, place] = value
    y, classes = _labels(labels)
    return Samples(numbers, y, classes=classes)


def _label_column(names: list[str], width: int, wanted: Wanted, path: str) -> int:
    if wanted.labels is not None and wanted.labels not in names:
        raise ValueError(
            f"The table {path!r} must have a column {wanted.labels!r}. Got {', '.join(names) or 'no names'}."
        )
    chosen = wanted.labels or next((name for name in names if name.lower() in _LABELS), None)
    return names.index(chosen) if chosen is not None else width - 1


def _labels(texts: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as numbers: whole ones where all are whole, and the names of the classes where they are words."""
    values = [_number(field) for field in texts]
    if None in values:
        classes = tuple(sorted(set(texts)))
        numbers = {name: number for number, name in enumerate(classes)}
        return np.array([numbers[field] for field in texts], "int32"), classes
    y = np.array(values, "float64")
    return (y.astype("int32") if np.all(y == np.rint(y)) else y.astype("float32")), ()


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def is_table(source: str) -> bool:
    """Whether a name is that of a table.

    >>> is_table("data.CSV"), is_table("data.npz")
    (True, False)
    """
    return Path(source).suffix.lower() in (".csv", ".tsv")
