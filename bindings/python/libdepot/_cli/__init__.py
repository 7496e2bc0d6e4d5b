"""The command line "libdepot". No part of the API."""
