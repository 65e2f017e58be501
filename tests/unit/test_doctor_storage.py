"""Doctor on what Redis says in INFO, and on what the database said."""

from dataclasses import replace

import pytest

from cdn.doctor_redis import judge_redis, read_info
from edgebake.checks import judge_record
from feeds.checkup import Checkup

WELL = """\
# Server
redis_version:7.2.4
server_name:valkey
valkey_version:8.1.3
run_id:0123
# Replication
role:master
connected_slaves:1
master_replid:4567
# Memory
used_memory:1000000
maxmemory:3000000000
maxmemory_policy:noeviction
# Persistence
aof_enabled:0
# Cluster
cluster_enabled:0
"""
SOUND = Checkup("postgresql", "0001", "0001", ahead_s=0.01, trip_s=0.02)


def test_a_valkey_with_a_replica_is_well() -> None:
    assert judge_redis(read_info(WELL)) == []


@pytest.mark.parametrize(
    ("changed", "code", "severity"),
    [
        ({"valkey_version": "7.2.9"}, "redis-version", "error"),
        ({"role": "slave"}, "redis-replica", "error"),
        ({"cluster_enabled": "1"}, "redis-cluster", "error"),
        ({"run_id": ""}, "redis-ids", "warning"),
        ({"master_replid": ""}, "redis-ids", "warning"),
        ({"maxmemory_policy": "volatile-lru"}, "redis-eviction", "error"),
        ({"used_memory": "2400000000"}, "redis-memory", "warning"),
        ({"used_memory": "2900000000"}, "redis-memory", "error"),
        ({"maxmemory": "0", "total_system_memory": "1100000"}, "redis-memory", "error"),
        ({"connected_slaves": "0"}, "redis-persistence", "warning"),
        ({"aof_enabled": "1", "aof_last_write_status": "err"}, "redis-aof", "error"),
    ],
)
def test_one_mistake_of_redis_is_named_and_nothing_else(changed: dict[str, str], code: str, severity: str) -> None:
    found = judge_redis(read_info(WELL) | changed)
    assert [(finding.code, finding.severity) for finding in found] == [(code, severity)]


def test_a_redis_of_before_valkey_is_judged_by_its_own_version() -> None:
    info = read_info(WELL)
    del info["valkey_version"]
    assert judge_redis(info) == []
    assert [finding.code for finding in judge_redis(info | {"redis_version": "6.2.14"})] == ["redis-version"]


def test_an_append_only_file_stands_in_for_a_replica() -> None:
    assert judge_redis(read_info(WELL) | {"connected_slaves": "0", "aof_enabled": "1"}) == []


@pytest.mark.parametrize(
    ("found", "edge", "codes"),
    [
        (SOUND, "cloudfront", []),
        (replace(SOUND, revision=None), "cloudfront", ["database-revision"]),
        (replace(SOUND, revision="0000"), "cloudfront", ["database-revision"]),
        (replace(SOUND, kind="sqlite"), "cloudfront", ["database-sqlite"]),
        (replace(SOUND, kind="sqlite"), "local", []),
        (replace(SOUND, ahead_s=-3.0), "cloudfront", ["clock"]),
        (replace(SOUND, ahead_s=3.0, trip_s=6.0), "cloudfront", []),  # it may be the trip
    ],
)
def test_one_mistake_of_the_database_is_named_and_nothing_else(found: Checkup, edge: str, codes: list[str]) -> None:
    assert [finding.code for finding in judge_record(found, edge)] == codes
