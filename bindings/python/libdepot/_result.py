"""What a solve gave."""

from __future__ import annotations

from ._call import Call, make_call
from ._light import dataclass, field, typing

TYPE_CHECKING = False  # typing's; see _light


@dataclass(frozen=True)
class SentFile:
    """A file that a local directory sent."""

    local: str  # the directory's name: "context", "dockerfile", ...
    path: str
    size: int
    transferred: bool  # False: the builder had its content already


@dataclass(frozen=True)
class Result:
    """What a solve gave: the image's digests and names, the builder's answer, the build."""

    digest: str  # of the image or index, "sha256:<hex>"; "" when no image was exported
    config_digest: str  # of the image config; "" for an index or no image
    descriptor: dict[str, typing.Any] | None  # OCI descriptor of the image or index
    image_name: str  # names the image was given, comma-separated
    ref: str  # BuildKit's ref of the solve
    build_id: str  # as the API gave it, "" without
    build_url: str  # page of the build
    exporter_response: dict[str, str]
    sent_files: list[SentFile] = field(repr=False)  # with SolveRequest(record_context=True)
    metadata_json: str = field(repr=False)  # what buildx's --metadata-file writes
    call: Call | None = None  # the answer, when the request had a call

    @property
    def metadata(self) -> dict[str, typing.Any]:
        """The exporter response with its JSON values as objects, as --metadata-file has it."""
        import json

        found: dict[str, typing.Any] = json.loads(self.metadata_json)
        return found

    if not TYPE_CHECKING:  # it would tell checkers that there is any attribute
        def __getattr__(self, name):
            """The descriptor of make_result(), read when it is asked for: json with its re takes longer
            to import than this package, and most callers want the digest alone."""
            text = self.__dict__.get("_descriptor_json")
            if name != "descriptor" or text is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            import json

            return self.__dict__.setdefault("descriptor", json.loads(text))


def make_result(raw: dict[str, typing.Any]) -> Result:
    text = raw.pop("descriptor_json")
    if raw["call"] is not None:
        raw["call"] = make_call(raw["call"])
    raw["sent_files"] = [SentFile(*file) for file in raw["sent_files"]]
    result = Result(descriptor=None, **raw)
    if text:
        del result.__dict__["descriptor"]
        result.__dict__["_descriptor_json"] = text
    return result
