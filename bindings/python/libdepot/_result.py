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
class Attestation:
    """What a build said of its making; Machine.read_blob(digest) reads it, as long as the builder remembers."""

    type: str  # of the predicate, "https://slsa.dev/provenance/v1"
    platform: str  # "" when the build has one for all
    digest: str  # of its blob in the builder
    size: int


@dataclass(frozen=True)
class Stats:
    """How long the parts of a build took, in seconds, and how much was moved. 0: there was no such part.

    Times of what the builder does are by its clock, from the first beginning to the last end of a kind."""

    acquire: float  # of a machine, registering the build included; of a build in one call
    connect: float  # to the builder; next to nothing when the connection stood
    solve: float  # from the request until all had ended; the following are parts of it
    context: float  # loading of local contexts
    export: float  # pushing included
    push: float
    steps: int  # as the builder's history counts them
    cached_steps: int  # that needed no work
    completed_steps: int
    context_entries: int  # that local directories listed, each transfer by itself
    context_files: int  # whose content the builder asked for
    context_bytes: int  # of that content
    sent_bytes: int  # with the lists, as they went into the session
    export_bytes: int  # that exports brought to this computer


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
    stats: Stats = field(repr=False)
    metadata_json: str = field(repr=False)  # what buildx's --metadata-file writes
    call: Call | None = None  # the answer, when the request had a call
    attestations: tuple[Attestation, ...] = ()  # with SolveRequest(record_provenance="min")

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
    raw["attestations"] = tuple([Attestation(*one) for one in raw["attestations"]])
    times = raw["stats"]
    raw["stats"] = Stats(*[time / 1e9 for time in times[:6]], *times[6:])
    result = Result(descriptor=None, **raw)
    if text:
        del result.__dict__["descriptor"]
        result.__dict__["_descriptor_json"] = text
    return result
