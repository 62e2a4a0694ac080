"""Packaging of tfopt: all metadata lives here, but for the version, which is `tfopt.__version__`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

EXAMPLES = ["scikit-learn>=1.4"]
FORMATS = ["ai-edge-quantizer>=0.10"]
JAX = ["jax>=0.10"]
SEARCH = ["optuna>=5.0"]
MCU = ["tflite-micro", "ethos-u-vela>=5.0"]
# `make docs`; the notebooks are run as they stand.
DOCS = ["mkdocs>=1.6", "mkdocs-material>=9.6", "mkdocstrings[python]>=1.0"]
NOTEBOOKS = ["nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29"]
TEST = [
    "pytest>=8.2",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "import-linter>=2.5",
    "mypy>=1.13",
    "ruff==0.17.6",
    *EXAMPLES,
    *MCU,
    *SEARCH,
    *DOCS,
    *NOTEBOOKS,
]

FOLDER = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (FOLDER / "tfopt" / "__init__.py").read_text(encoding="utf-8"), re.M
)

setup(
    name="tfopt",
    version=VERSION[1],
    description="Pruning, quantization-aware training and distillation in Keras 3 model.fit, to int8 TFLite",
    long_description=(FOLDER / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["keras", "tflite", "litert", "quantization", "pruning", "distillation"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["tfopt", "tfopt.*"]),
    # The stubs are read when a package is imported; without them tfopt does not work.
    package_data={
        "": ["*.pyi"],
        "tfopt": ["py.typed"],
        "tfopt.page": ["templates/*"],
        "tfopt.recipes": ["shipped/*.yaml"],
    },
    # Each lower bound is a version that the tests pass on: tests/oldest.txt pins them all. ai-edge-litert before 2.1
    # cannot be loaded beside TensorFlow: both register one class of pybind11; on 2.1 a file with attention does not
    # compute what its simulation does, which holds for 2.2 and later.
    install_requires=[
        "tensorflow>=2.20",
        "keras>=3.14",
        "numpy>=2.0",
        "absl-py>=1.2",
        "ai-edge-litert>=2.2",
        "flatbuffers>=24.3.25",
        "h5py>=3.11",
        "jinja2>=3.1",
        "lazy-loader>=0.4",
        "markupsafe>=2.1",
        "matplotlib>=3.9",
        "pyyaml>=6.0.2",
        "rich>=13.0",
        "tensorflow-model-optimization>=0.8.1",
        "wrapt>=1.15",
    ],
    extras_require={
        "docs": DOCS,
        "examples": EXAMPLES,
        "formats": FORMATS,
        "jax": JAX,
        "mcu": MCU,
        "search": SEARCH,
        "test": TEST,
    },
    entry_points={"console_scripts": ["tfopt = tfopt.cli:run"]},
)
