"""A deterministic simulation of everything between a write and an edge. ``docs/simulation.md`` says how it works."""
