"""`python -m tfopt`: the program `tfopt`, by the interpreter that is at hand."""

from tfopt.cli import run

if __name__ == "__main__":
    run()
