"""An ARM64 Linux with LiteRT in a folder, and Python programs run on it by QEMU's user-mode emulation.

Debian packages of the other architecture are unpacked into the folder, never installed; apt's own lists and caches are
left alone. Needs Debian 12 or what has its packages, `apt-get`, `dpkg` and `qemu-user-static`.
"""

import dataclasses
import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PYTHON = "3.11"  # Debian 12's
# What Python and LiteRT load.
PACKAGES = f"""
    python{PYTHON}-minimal libpython{PYTHON}-minimal libpython{PYTHON}-stdlib libc6 libstdc++6 libgcc-s1 zlib1g
    libexpat1 libffi8 libbz2-1.0 liblzma5 libssl3 libuuid1 libsqlite3-0 libncursesw6 libtinfo6 libreadline8 libnsl2
    libtirpc3 libcrypt1 media-types
""".split()
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


@dataclasses.dataclass(frozen=True)
class Cpu:
    """A processor for QEMU, and what /proc/cpuinfo says of it: LiteRT picks its kernels by that.

    Attributes:
        name: QEMU's name.
        part: the number in /proc/cpuinfo.
        features: the extensions in /proc/cpuinfo. QEMU dies of an instruction that its processor does not have.
    """

    name: str
    part: str
    features: str


_BASE = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
# What it is to check -> a processor. XNNPACK has kernels of its own for the dot product instructions.
CPUS = {
    "with": Cpu("cortex-a76", "0xd0b", f"{_BASE} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"),
    "without": Cpu("cortex-a53", "0xd03", _BASE),
}


class Emulated:
    """The folder, made where it is not there.

    Args:
        folder: where it is, some 200 MB.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.root, self.site = self.folder / "root", self.folder / "site"
        self._tools = {name: _tool(name) for name in ("qemu-aarch64-static", "apt-get", "dpkg")}
        if not (self.root / "usr/bin" / f"python{PYTHON}").exists():
            self._unpack_debian()
        if not (self.site / "numpy").is_dir():
            self._unpack_wheels()

    def run(self, cpu: Cpu, program: Path, *arguments: object) -> None:
        """Runs a Python program on an emulated processor.

        Args:
            cpu: the processor.
            program: a file of Python.
            *arguments: its arguments.

        Raises:
            RuntimeError: it fails; with its last words.
        """
        self._describe(cpu)
        command = [self._tools["qemu-aarch64-static"], "-cpu", cpu.name, "-L", self.root]
        # Without the environment of this process, whose PYTHONPATH is full of x86.
        command += ["-E", f"PYTHONPATH={self.site}", self.root / "usr/bin" / f"python{PYTHON}", "-S", program]
        done = subprocess.run(
            [*map(str, command), *map(str, arguments)], capture_output=True, text=True, env={}
        )
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise RuntimeError(f"{program.name} on {cpu.name} ended with {done.returncode}: {' '.join(last)}")

    def _describe(self, cpu: Cpu) -> None:
        """Writes an ARM's /proc/cpuinfo, as QEMU looks into the folder first; LiteRT crashes on that of an x86."""
        text = (
            "processor\t: {number}\nBogoMIPS\t: 50.00\nFeatures\t: {cpu.features}\nCPU implementer\t: 0x41\n"
            "CPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: {cpu.part}\nCPU revision\t: 1\n\n"
        )
        (self.root / "proc").mkdir(exist_ok=True)
        lines = [text.format(number=number, cpu=cpu) for number in range(2)]
        (self.root / "proc/cpuinfo").write_text("".join(lines))
        devices = self.root / "sys/devices/system/cpu"
        devices.mkdir(parents=True, exist_ok=True)
        for name in ("present", "possible", "online"):
            (devices / name).write_text("0-1\n")

    def _unpack_debian(self) -> None:
        lists, cache, packages = (self.folder / name for name in ("apt-lists", "apt-cache", "packages"))
        for path in (lists / "partial", cache / "archives/partial", packages, self.root):
            path.mkdir(parents=True, exist_ok=True)
        options = {
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "Dir::State::Lists": lists,
            "Dir::Cache": cache,
            "APT::Sandbox::User": "root",
        }
        apt = [self._tools["apt-get"], *(f"-o{name}={value}" for name, value in options.items())]
        _call([*apt, "update"], packages)
        _call([*apt, "download", *PACKAGES], packages)
        for package in sorted(packages.glob("*.deb")):
            _call([self._tools["dpkg"], "-x", str(package), str(self.root)], packages)

    def _unpack_wheels(self) -> None:
        """LiteRT for ARM in the version that is installed here."""
        wheels = self.folder / "wheels"
        wheels.mkdir(parents=True, exist_ok=True)
        version = importlib.metadata.version("ai-edge-litert")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += [
            "--python-version",
            PYTHON,
            "--implementation",
            "cp",
            "--abi",
            f"cp{PYTHON.replace('.', '')}",
        ]
        command += [word for name in PLATFORMS for word in ("--platform", name)]
        _call([*command, f"ai-edge-litert=={version}", "numpy", "flatbuffers"], wheels)
        for wheel in wheels.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(self.site)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise RuntimeError(
            f"This check needs {name}, on Debian or what is made of it. Got none on the PATH. "
            "Install it with: apt-get install qemu-user-static apt dpkg"
        )
    return path


def _call(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-500:]}")
