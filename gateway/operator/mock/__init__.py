"""A provider of one's own machine: OpenAI chat completions without keys, broken on request.

    tiergate mock --port 9900

`faults` says what can be broken and by whom, `answers` and `samples` what is said, `wire` how
it is sent or broken off, `journal` what was received, `app` puts them together.
"""

from gateway.operator.mock.app import create_app, create_server, run

__all__ = ["create_app", "create_server", "run"]
