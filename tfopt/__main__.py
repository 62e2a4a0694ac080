"""`python -m tfopt`: the program `tfopt`, run by this interpreter."""

from tfopt.cli import run

if __name__ == "__main__":
    run()
