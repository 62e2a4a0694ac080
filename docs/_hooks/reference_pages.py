"""The reference: a page for each public package, with every name that its stub lists, from the docstrings."""

import ast
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
# For who changes tfopt, and not for who uses it: ARCHITECTURE.md says what these do.
INNER = {"channels", "coding", "graph", "kernels"}


def public_names(init: Path) -> list[str]:
    """The names that `__init__.pyi`, or `__init__.py`, lists in `__all__`."""
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise ValueError(f"{init} has no __all__")


def packages() -> dict[str, list[str]]:
    """Public package -> its names, for each package with a stub."""
    stubs = sorted((ROOT / "tfopt").glob("*/__init__.pyi"))
    return {stub.parent.name: public_names(stub) for stub in stubs if stub.parent.name not in INNER}


def homes() -> dict[str, str]:
    """Name in `tfopt` -> the dotted path under which the reference describes it."""
    found = {}
    of_packages = packages()
    for name in public_names(ROOT / "tfopt" / "__init__.pyi"):
        if (ROOT / "tfopt" / name).is_dir() or (ROOT / "tfopt" / f"{name}.py").exists():
            continue
        owners = [package for package, names in of_packages.items() if name in names]
        # These three build on several packages, one of which has a function of the same name with less to it.
        own = name in ("export", "report", "shrink") or not owners
        found[name] = f"tfopt.{name}" if own else f"tfopt.{owners[0]}.{name}"
    return found


def _documented(path: str) -> str:
    return f"::: {path}\n"


def _first_line(package: str) -> str:
    text = ast.get_docstring(
        ast.parse((ROOT / "tfopt" / package / "__init__.py").read_text(encoding="utf-8"))
    )
    return (text or "").partition("\n")[0]


def _top_page() -> str:
    found = homes()
    rows = [f"| [`tfopt.{name}`][{path}] | `{path.rpartition('.')[0]}` |" for name, path in found.items()]
    blocks = [_documented(path) for name, path in found.items() if path == f"tfopt.{name}"]
    links = [f"- [`tfopt.{name}`]({name}.md): {_first_line(name)}" for name in packages()]
    return "\n".join(
        [
            "# Reference",
            "",
            "Every public name, from its docstring; each example runs in the tests. What a program needs is in `tfopt` "
            "itself, the parts to build with are in its packages.",
            "",
            *links,
            "- [`tfopt.distribute`](distribute.md): strategies for several devices",
            "",
            "## Names in `tfopt`",
            "",
            "| name | described in |",
            "|:--|:--|",
            *rows,
            "",
            *blocks,
        ]
    )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {"index": _top_page()}
    for name, names in packages().items():
        blocks = "\n".join(_documented(f"tfopt.{name}.{each}") for each in names)
        pages[name] = f"# tfopt.{name}\n\n{_first_line(name)}\n\n{blocks}"
    pages["distribute"] = f"# tfopt.distribute\n\n{_documented('tfopt.distribute.strategy')}"
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the pages where the navigation says `reference/`."""
    pages = ["index", "distribute", *packages()]
    for entry in config.nav or []:
        if entry.get("Reference") == "reference/":
            entry["Reference"] = [
                f"reference/{name}.md" if name == "index" else {f"tfopt.{name}": f"reference/{name}.md"}
                for name in pages
            ]
    return config
