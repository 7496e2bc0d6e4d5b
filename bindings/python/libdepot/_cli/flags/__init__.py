"""The flags of `libdepot build` by topic, spelled as `docker buildx build` and `depot build` spell them.

A topic has add_flags(parser), and fields_of(options): what its flags set in a SolveRequest."""
