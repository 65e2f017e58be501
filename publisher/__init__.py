"""Writes come in: the write API and the bulk import."""
