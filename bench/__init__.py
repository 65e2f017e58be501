"""The benches: what Edgebake does a second, and how long a change takes. `python -m bench` lists them."""
