"""Doctor's look at Redis: what it says of itself in INFO, which every service allows. Pure: nothing is asked."""

from collections.abc import Iterator, Mapping

from cdn.finding import Finding

LEAST = {"redis": 7, "valkey": 8}
FULL, NEARLY_FULL = 0.9, 0.75
"""Shares of its memory."""
WHERE = "Redis"


def read_info(text: str) -> dict[str, str]:
    """Return the fields of INFO."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def judge_redis(info: Mapping[str, str]) -> list[Finding]:
    """Return what is wrong with a Redis or Valkey, errors first."""
    found = [*_version(info), *_role(info), *_memory(info), *_loss(info)]
    return sorted(found, key=lambda finding: finding.severity)


def _version(info: Mapping[str, str]) -> Iterator[Finding]:
    server = "valkey" if "valkey_version" in info else "redis"
    version = info.get(f"{server}_version", "0")
    if int(version.partition(".")[0]) < LEAST[server]:
        yield Finding(
            "redis-version",
            "error",
            WHERE,
            f"it is {server} {version}",
            "scripts need Redis 7 or Valkey 8, or later",
            "move to Valkey 8 or Redis 7",
        )


def _role(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("role") != "master":
        yield Finding(
            "redis-replica",
            "error",
            WHERE,
            f"its role is '{info.get('role')}'",
            "it takes no writes, and what it says is late: a page from before a change would pass the fence",
            "set EDGEBAKE_REDIS_URL to the primary",
        )
    if info.get("cluster_enabled") == "1":
        yield Finding(
            "redis-cluster",
            "error",
            WHERE,
            "cluster mode is enabled",
            "keys of several shards are asked for together, and Edgebake's clients are no cluster clients",
            "take one with cluster mode disabled",
        )
    if not info.get("run_id") or not info.get("master_replid"):
        yield Finding(
            "redis-ids",
            "warning",
            WHERE,
            "INFO hides run_id or master_replid",
            "a connection cannot tell a Redis that lost its last writes from the one before; only an empty one is "
            "noticed",
            "take a service that shows them, or `edgebake invalidate --global` after each failover",
        )


def _memory(info: Mapping[str, str]) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Finding(
            "redis-eviction",
            "error",
            WHERE,
            f"maxmemory-policy is '{policy}'",
            "an eviction is a loss that nobody is told of: tags of the ledger go, and pages stay stale",
            "set maxmemory-policy to noeviction",
        )
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    most = most or int(info.get("total_system_memory", 0))
    if most and used > most * NEARLY_FULL:
        yield Finding(
            "redis-memory",
            "error" if used > most * FULL else "warning",
            WHERE,
            f"{used / most:.0%} of {most / 1e9:.1f} GB are used",
            "when it is full it refuses writes, and nothing is baked or invalidated any more",
            "take a larger one, or lower EDGEBAKE_ACTIVE_DAYS, EDGEBAKE_TIMELINE_CAP or EDGEBAKE_POST_DAYS",
        )


def _loss(info: Mapping[str, str]) -> Iterator[Finding]:
    has_file = info.get("aof_enabled") == "1"
    if not has_file and info.get("connected_slaves", "0") == "0":
        yield Finding(
            "redis-persistence",
            "warning",
            WHERE,
            "it has neither an append-only file nor a replica",
            "a restart loses everything: all pages are dropped at the edge, and baked anew",
            "give it a replica in another zone, or appendonly yes",
        )
    if has_file and info.get("aof_last_write_status", "ok") != "ok":
        yield Finding(
            "redis-aof",
            "error",
            WHERE,
            f"aof_last_write_status is '{info['aof_last_write_status']}'",
            "its append-only file cannot be written, so it refuses writes",
            "look at its disk",
        )


def unreachable(url: str, error: Exception) -> Finding:
    """Return the finding of a Redis that does not answer; ``url`` shows no password."""
    return Finding(
        "redis-unreachable",
        "error",
        WHERE,
        f"nobody answers at '{url}': {error}",
        "nothing is baked or invalidated",
        "set EDGEBAKE_REDIS_URL, start Redis, and let this machine reach it",
    )
