"""dockerpy.py ADDRESS CA CERT KEY CONTEXT: docker-py's build, by which a Docker Engine gets the whole
context as one archive. Prints the lines that it would show."""

import os
import sys

import docker

address, ca, cert, key, context = sys.argv[1:]
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # would be taken instead of our CA
    os.environ.pop(name, None)
os.environ["NO_PROXY"] = "localhost"
tls = docker.tls.TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=True)
for line in docker.APIClient(base_url=address, tls=tls).build(path=context, decode=True):
    if "error" in line:
        raise SystemExit(line["error"])
    print(line.get("stream", ""), end="")
