"""What another policy would have decided for requests that were served: `tiergate replay`."""
