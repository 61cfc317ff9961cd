"""Run by `benchmarks.read_path` in the environment of Clerk's own Python SDK: microseconds for one request."""

import json
import sys
import time

import httpx
from clerk_backend_api.security import AuthenticateRequestOptions, authenticate_request

given = json.load(sys.stdin)
request = httpx.Request("GET", "http://testserver/", headers={"Authorization": f"Bearer {given['token']}"})
options = AuthenticateRequestOptions(jwt_key=given["jwt_key"], authorized_parties=[given["party"]])
state = authenticate_request(request, options)
if not state.is_signed_in:
    sys.exit(f"the SDK refuses the token: {state.reason}")
rounds = []
for _ in range(40):
    started = time.process_time()
    for _ in range(100):
        authenticate_request(request, options)
    rounds.append((time.process_time() - started) / 100 * 1e6)
print(min(rounds))
