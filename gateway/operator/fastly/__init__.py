"""Fastly Compute from the operator's side: publishing to its KV Store, checking a service.

`api` makes the requests, `account` knows what is asked for and what comes back, `store` is a
PolicyStore, `check` says what a service still lacks. Nothing here deploys: Fastly's own CLI does.
"""

# The names by which the component asks for what its service has (gateway/hosts/fastly.py).
KV_LINK = "tiergate"
SECRETS_LINK = "tiergate-secrets"
LOG_ENDPOINT = "tiergate"
