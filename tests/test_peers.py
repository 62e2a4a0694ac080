"""The comparison with peers: that its tables say what the points say, and that its programs still run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.peers.contenders import ours
from tests.benchmarks.peers.environments import CONTENDERS, ROOT, methods_of
from tests.benchmarks.peers.measure import Point
from tests.benchmarks.peers.run import lines_of
from tests.benchmarks.peers.tables import accuracy_table, ahead_of_ours, versions_of


def point(contender, method, metric, size, seed=0, **others):
    return Point(
        contender, method, seed, Path("a"), {}, metric, costs={"gzip": size, "latency": size}, **others
    )


def test_who_is_ahead_is_a_matter_of_both_axes():
    ours_, theirs = point("tfopt", "a", 90.0, 100), point("peer", "b", 91.0, 120)
    assert ahead_of_ours([ours_, theirs]) == ["peer: b"]
    assert ahead_of_ours([ours_, theirs, point("tfopt", "c", 91.0, 110)]) == []
    assert ahead_of_ours([ours_, theirs], lower_is_better=True) == []
    assert ahead_of_ours([ours_, point("peer", "b", 90.0, 97)]) == ["peer: b"]
    assert ahead_of_ours([ours_, point("peer", "b", 90.0, 97)], "latency") == []
    seeds = [point("peer", "b", 88.0, 100, seed=1), point("peer", "b", 91.0, 100)]
    assert ahead_of_ours([ours_, *seeds]) == []


def test_a_failure_is_a_row_and_seeds_have_a_spread():
    failed = Point("peer", "b", 0, Path("a"), {}, error="ValueError: no such layer")
    table = accuracy_table(95.0, [point("tfopt", "a", 90.0, 100), point("tfopt", "a", 92.0, 100, 1), failed])
    assert table.rows[0][:2] == ("tfopt: a", "91.00 ± 1.41")
    assert table.rows[1][:2] == ("peer: b", "failed")
    assert table.notes[-1] == "peer: b failed: ValueError: no such layer"


def test_versions_name_their_users_where_there_are_several():
    of = [
        Point(name, "a", 0, Path("a"), {"versions": {"numpy": "2", "keras": k}}) for name, k in ("p3", "q2")
    ]
    assert versions_of(of) == "Versions: numpy 2; keras 3 (p), 2 (q)."


def test_methods_are_read_without_the_library_and_their_lines_counted():
    assert all(methods_of(contender) for contender in CONTENDERS)
    assert methods_of(CONTENDERS[0]) == list(ours.METHODS)
    assert lines_of(ours, ours.ptq) == 3
    assert lines_of(ours, ours.prune) == 1 + lines_of(ours, ours.pruned)


@pytest.mark.slow
def test_the_quick_run(tmp_path):
    """Without training: each contender of this environment that quantizes a trained network."""
    command = [sys.executable, "-m", "tests.benchmarks.peers", "--quick", "--methods=PTQ int8"]
    command += [f"--folder={tmp_path / 'peers'}", f"--output={tmp_path / 'pages'}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    written = (tmp_path / "pages" / "digits.md").read_text()
    assert "| tfopt: PTQ int8 |" in written and "| TFLite converter: PTQ int8 |" in written
    assert "failed" not in written
    assert "| [digits](digits.md) | " in (tmp_path / "pages" / "index.md").read_text()
