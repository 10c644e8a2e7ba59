"""What the embedded classifier takes of a request, in the guest: as its own response header says.

Requests are those of the training data's test split, most a few words, some a whole page; each asks
`/v1/route`, which judges and forwards nothing.
"""

import json
import re
from http.client import HTTPConnection

from bench.rig import Rig, RigError
from training.rows import natural, split

WARM = 50  # requests that find an instance cold, and are not counted
_CLASSIFY = re.compile(r"classify;dur=([0-9.]+)")


def judging_ms(rig: Rig, runs: int) -> list[float]:
    """Milliseconds of judging, a request each. Raises RigError."""
    turns = [row.excerpt.turn for row in split(natural())[1]]
    connection = HTTPConnection("127.0.0.1", rig.gateway_port, timeout=10)
    found: list[float] = []
    try:
        for turn in [*turns[:WARM], *turns * runs]:
            body = json.dumps({"messages": [{"role": "user", "content": turn}]})
            fields = {"content-type": "application/json"}
            connection.request("POST", "/v1/route", body, fields)
            answer = connection.getresponse()
            answer.read()
            timing = _CLASSIFY.search(answer.getheader("server-timing", ""))
            if answer.status != 200 or timing is None:
                raise RigError(f"/v1/route answers {answer.status} and says no time of judging")
            found.append(float(timing[1]))
    finally:
        connection.close()
    return found[WARM:]
