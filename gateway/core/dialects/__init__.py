"""The wire formats, one module each, both directions."""
