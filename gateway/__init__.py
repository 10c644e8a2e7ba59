"""Tiergate: an LLM gateway that is one WebAssembly component."""
