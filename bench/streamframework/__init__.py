"""Stream-Framework 1.4, as its users run it: in an environment of its own, driven over JSON lines."""
