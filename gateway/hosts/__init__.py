"""Where the gateway runs: one module a host, each an implementation of the ports."""
