"""What a solve gave."""

from __future__ import annotations

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True)
class Result:
    digest: str  # of the image or index, "sha256:<hex>"; "" when no image was exported
    config_digest: str  # of the image config; "" for an index or no image
    descriptor: dict[str, Any] | None  # OCI descriptor of the image or index
    image_name: str  # names the image was given, comma-separated
    ref: str  # BuildKit's ref of the solve
    build_id: str  # as the API gave it, "" without
    build_url: str  # page of the build
    exporter_response: dict[str, str]
    metadata_json: str = dataclasses.field(repr=False)  # what buildx's --metadata-file writes

    @property
    def metadata(self) -> dict[str, Any]:
        """The exporter response with its JSON values as objects, as --metadata-file has it."""
        found: dict[str, Any] = json.loads(self.metadata_json)
        return found


def make_result(raw: dict[str, Any]) -> Result:
    text = raw.pop("descriptor_json")
    return Result(descriptor=json.loads(text) if text else None, **raw)
