"""The cases: what is built on which builder, how often, and what libdepot is to reach in it."""

import dataclasses
import io
import os
import tarfile

import builders
import clients

COPY_ALL = "FROM scratch\nCOPY . /tree/\n"
PER_FOLDER, LARGE_FILES = 500, 16


def lay_small(folder, _):
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY greeting /\nCOPY Dockerfile /again\n")
    (folder / "greeting").write_text("hello\n")


def lay_many(folder, args):
    """Files of 1 KiB, in folders, and some beside them."""
    (folder / "Dockerfile").write_text(COPY_ALL)
    for at in range(10):
        (folder / f"kept-{at}.txt").write_text(f"{at}\n")
    for at in range(args.files):
        if at % PER_FOLDER == 0:
            sub = folder / f"folder-{at // PER_FOLDER:04}"
            sub.mkdir()
        (sub / f"file-{at % PER_FOLDER:04}.txt").write_bytes(f"{at}\n".encode().ljust(1024))


def lay_large(folder, args):
    """Large files whose content no one can make smaller."""
    (folder / "Dockerfile").write_text(COPY_ALL)
    for at in range(LARGE_FILES):
        with open(folder / f"large-{at:02}", "wb") as file:
            for _ in range(args.mib):
                file.write(os.urandom(1 << 20))


def lay_archive(folder, files):
    """One file that the builder makes a tree of, so that a build of it is all export."""
    (folder / "Dockerfile").write_text("FROM scratch\nADD tree.tar /\n")
    with tarfile.open(folder / "tree.tar", "w") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), 1700000000, 0o644
            archive.addfile(entry, io.BytesIO(content))


def lay_many_packed(folder, args):
    lay_archive(folder, ((f"folder-{at // PER_FOLDER:04}/file-{at % PER_FOLDER:04}.txt",
                          f"{at}\n".encode().ljust(1024)) for at in range(args.files)))


def lay_large_packed(folder, args):
    lay_archive(folder, ((f"large-{at:02}", os.urandom(args.mib << 20)) for at in range(LARGE_FILES)))


@dataclasses.dataclass(frozen=True)
class Case:
    about: str
    lay: callable  # cases with the same one share the directory
    builder: callable
    rounds: int
    target: tuple  # wall, CPU, peak RSS, as shares of the best peer's; None: no target
    warmups: int = 1
    ignore: str = ""  # the .dockerignore
    cold: bool = False  # the builder may have nothing of it
    programs: callable = clients.programs
    default: bool = True
    legacy: bool = False  # also for those who send the whole context to a Docker Engine
    self_target: tuple = None  # of the self-contained library, where it is another

    def prepare(self, context):
        path = context / ".dockerignore"
        path.unlink(missing_ok=True)
        if self.ignore:
            path.write_text(self.ignore)

    def before(self, builder, context):
        """Before each run. Not the files' content but their times are what BuildKit compares: new ones
        make it take all of them again even if it kept a context."""
        if self.cold:
            builder.forget()
            for entry in context.rglob("*"):
                os.utime(entry)


def null_all(address, _):
    return builders.NullBuilder("all", address)


def null_none(address, _):
    return builders.NullBuilder("none", address)


# What an export brings: how many files of how many bytes.
def many(args):
    return args.files, 1024


def large(args):
    return LARGE_FILES, args.mib << 20


def null_many(address, args):
    return builders.NullBuilder("all", address, many(args))


def null_large(address, args):
    return builders.NullBuilder("all", address, large(args))


# All but ten files: found out by a look at each folder's name, or only at each file's; and all but those
# and one in each folder.
IGNORED, IGNORED_FILES = "folder-*\n", "**/file-*\n"
NEGATED = IGNORED + "!folder-*/file-0007.txt\n"

CASES = {
    "cached": Case("a small build whose every step is cached", lay_small, builders.Daemon, 15, (.7, .7, .7),
                   warmups=2, self_target=(.5, .4, .45), legacy=True),
    "cached-null": Case("the same, for a builder that has nothing to do", lay_small, null_all, 15, (.7, .7, .7),
                        self_target=(.5, .4, .45)),
    "unchanged": Case("100,000 files of which none changed", lay_many, builders.Daemon, 5, (.55, .2, .4), warmups=2,
                      legacy=True),
    "unchanged-null": Case("the same, listed to a builder that has it all", lay_many, null_none, 5, (.55, .2, .4)),
    "ignored": Case("the same, nearly all of them ignored by folder", lay_many, builders.Daemon, 9, (.5, .33, .5),
                    warmups=2, ignore=IGNORED, legacy=True),
    "ignored-files": Case("the same, ignored one by one", lay_many, builders.Daemon, 5, (.5, .33, .5), warmups=2,
                          ignore=IGNORED_FILES),
    "ignored-negated": Case("the same by folder, with an exception in each", lay_many, builders.Daemon, 5,
                            (.5, .33, .5), warmups=2, ignore=NEGATED),
    "cold-large": Case("16 files of 64 MiB that the builder has not", lay_large, builders.Daemon, 3, (.8, .3, .5),
                       cold=True, legacy=True),
    "cold-large-null": Case("the same, sent to a builder that throws them away", lay_large, null_all, 5, (.8, .3, .5)),
    "cold-small": Case("100,000 files of 1 KiB, sent to a builder that throws them away", lay_many, null_all, 3,
                       (.6, .4, .5)),
    "cold-small-daemon": Case("the same, to a builder that keeps them", lay_many, builders.Daemon, 1, (.6, .4, .5),
                              cold=True, default=False),
    "export-small": Case("100,000 files of 1 KiB, exported to a directory", lay_many_packed, builders.Daemon, 2,
                         (.2, .1, .05), programs=clients.exports(many)),
    "export-small-null": Case("the same, by a builder that makes them up", lay_small, null_many, 3, (.2, .1, .05),
                              programs=clients.exports(many)),
    "export-large": Case("16 files of 64 MiB, exported to a directory", lay_large_packed, builders.Daemon, 3,
                         (.8, .33, .3), programs=clients.exports(large)),
    "export-large-null": Case("the same, by a builder that makes them up", lay_small, null_large, 5, (.8, .33, .3),
                              programs=clients.exports(large)),
    "at-once": Case("64 of cached at once: one process, against one for each", lay_small, builders.Daemon, 5,
                    (.5, .3, .15), programs=clients.at_once),
    "at-once-null": Case("the same, for a builder that has nothing to do", lay_small, null_all, 5, (.5, .3, .15),
                         programs=clients.at_once),
    "python": Case("cached, from Python, its start included", lay_small, builders.Daemon, 15, (1.5, None, None),
                   warmups=2, programs=clients.python),
}
