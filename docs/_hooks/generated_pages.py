"""Pages made of what stands elsewhere: the support matrix of the tables, the architecture, the changelog."""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from support_matrix import support_page  # noqa: E402


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {
        "support.md": support_page(),
        "architecture.md": (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Pages that the navigation does not name stand under "More"."""
    named = set(re.findall(r"[\w/]+\.md", repr(config.nav)))
    folder = Path(config.docs_dir)
    pages = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.md")))
    more = [page for page in pages if page not in named]
    if more and config.nav is not None:
        config.nav.append({"More": more})
    return config
