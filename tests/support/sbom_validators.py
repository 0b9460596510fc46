"""The two formats' own validators."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any


def spdx_problems(document: dict[str, Any]) -> list[str]:
    """What spdx-tools, the SPDX project's own library, objects to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the libraries it is made of
        from spdx_tools.spdx.parser.parse_anything import parse_file
        from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "sbom.spdx.json"
            path.write_text(json.dumps(document))
            parsed = parse_file(str(path))
        return [message.validation_message for message in validate_full_spdx_document(parsed)]


def cyclonedx_problems(document: dict[str, Any]) -> str | None:
    """What the strict validator of the CycloneDX project's library objects to."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    return None if problem is None else str(problem)
