"""Entry point of the console script: outside the package, because TensorFlow is loaded with it.

TensorFlow reads its log level when it is loaded, and its start-up notes are of no use to who runs a command.
`import tfopt` itself changes no environment variable.
"""

import os


def run() -> None:
    """Runs the `tfopt` program."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tfopt.cli import run

    run()
