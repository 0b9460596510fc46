"""What promote, export and import print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pkgtool.cli import options
from pkgtool.report.text import table

if TYPE_CHECKING:
    from pkgtool.workflows.promote import Promoted


def emit(done: Sequence[Promoted], *, as_json: bool) -> None:
    """A line (or a document) a package: where it is now, and what came along."""
    if as_json:
        documents = [
            {
                "package": item.package.name,
                "target": item.target,
                "index": str(item.package.index.digest),
                "companions": item.companions,
            }
            for item in done
        ]
        options.emit(json.dumps(documents, indent=2))
        return
    rows = [(i.package.name, i.target, str(i.package.index.digest)[:19], str(i.companions)) for i in done]
    options.emit("\n".join(table(("PACKAGE", "TARGET", "INDEX", "SIGNATURES AND ATTESTATIONS"), rows)))
