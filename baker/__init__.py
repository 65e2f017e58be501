"""Reads come in: an HTTP request in, an artifact out."""
