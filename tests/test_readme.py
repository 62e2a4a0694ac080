"""README starts with the two commands that CI and newcomers type; its program runs in tests/docs."""

from tests.docs.pages import ROOT, blocks_of


def test_the_two_commands_stand_there() -> None:
    blocks = blocks_of((ROOT / "README.md").read_text(encoding="utf-8"))
    commands = [block.text.strip() for block in blocks if block.language == "bash"]
    assert commands == ["pip install -e '.[examples]' && tfopt demo", "pip install -e '.[test]' && pytest"]
