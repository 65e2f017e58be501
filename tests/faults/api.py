"""The API of the edge that `edgebake up` runs, which fails where a test says so (docs/local-edge.md)."""

import httpx


class EdgeApi:
    """Sets and ends faults of the edge. ``refused``: the calls that did not get through."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}")

    @property
    def refused(self) -> int:
        """Ask how many there were."""
        told: int = self._client.get("/faults").raise_for_status().json()["refused"]
        return told

    def fail(self, **faults: str | list[str]) -> None:
        """Let these faults begin."""
        self._client.put("/faults", json=faults).raise_for_status()

    def mend(self) -> None:
        """End all faults."""
        self._client.delete("/faults").raise_for_status()

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()
