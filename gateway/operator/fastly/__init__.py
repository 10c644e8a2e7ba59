"""Fastly Compute from the operator's side: publishing to its KV Store, checking a service.

`api` makes the requests, `account` knows what is asked for and what comes back, `store` is a
PolicyStore, `check` says what a service still lacks. Nothing here deploys: Fastly's own CLI does.
"""
