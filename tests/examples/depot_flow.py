#!/usr/bin/env python3
"""depot_flow.py CONTEXT [--token TOKEN] [--project ID] [--platform amd64|arm64]

The whole flow on Depot, step by step: register a build, lease a machine, connect, solve; the ends of
the blocks give the machine back and tell how it went. Without --token and --project: DEPOT_TOKEN and
DEPOT_PROJECT_ID. Ctrl-C cancels: the machine stops building, and Depot hears "canceled"."""

import argparse
import sys

import libdepot

parser = argparse.ArgumentParser()
parser.add_argument("context")
for flag in ("--token", "--project", "--platform"):
    parser.add_argument(flag)
given = parser.parse_args()

try:
    with libdepot.Client(builder="depot", token=given.token, project=given.project) as client:
        with client.new_build(context_dir=given.context) as build:
            print("build", build.id, build.url)
            with build.acquire(given.platform) as machine:
                machine.connect()
                request = libdepot.SolveRequest(context=given.context)
                result = machine.solve(request, on_status=lambda status: print(status, file=sys.stderr, flush=True))
                print("solved", result.ref)
except libdepot.Error as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    sys.exit(130)
