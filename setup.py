"""Packaging of tfopt: all metadata lives here."""

from pathlib import Path

from setuptools import find_packages, setup

EXAMPLES = ["scikit-learn>=1.4", "matplotlib>=3.8"]
MCU = ["tflite-micro", "ethos-u-vela>=5.0"]
TEST = [
    "pytest>=8.2",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "ruff==0.17.6",
    "mypy>=1.13",
    *EXAMPLES,
    *MCU,
]

setup(
    name="tfopt",
    version="0.1.0",
    description="Pruning, quantization-aware training and distillation in Keras 3 model.fit, to int8 TFLite",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["keras", "tflite", "litert", "quantization", "pruning", "distillation"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["tfopt", "tfopt.*"]),
    py_modules=["tfopt_cli"],
    install_requires=[
        "tensorflow>=2.20",
        "keras>=3.12",
        "numpy>=1.26",
        "absl-py>=1.2",
        "ai-edge-litert>=2.0",
        "tensorflow-model-optimization>=0.8",
    ],
    extras_require={
        "examples": EXAMPLES,
        "mcu": MCU,
        "test": TEST,
    },
    entry_points={"console_scripts": ["tfopt = tfopt_cli:run"]},
)
