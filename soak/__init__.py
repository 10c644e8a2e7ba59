"""A long load of a gateway under faults: what must hold whatever breaks."""
