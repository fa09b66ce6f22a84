"""Data come in, and what was held back flows on."""
