"""`edgebake audit` beside a running `up`."""

import json
import subprocess
import time
from itertools import count

from tests.e2e.running import COMMAND, PATIENCE_S, Running


def test_the_audit_follows_what_is_published_and_finds_no_miss(demo: Running) -> None:
    feed = demo.read(f"/feed/{demo.found['users'][0]}/feed.json").json()
    authors = sorted({item["authors"][0]["url"].rpartition("/")[2] for item in feed["items"]})
    audit = subprocess.Popen(
        [COMMAND, "--data-dir", str(demo.folder), "audit", "--once", "2", "--sample", "12", "--within", "6", "--json"],
        cwd=demo.folder.parent,
        env={},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert audit.stdout is not None
    deadline = time.monotonic() + 2 * PATIENCE_S
    for number in count():
        assert time.monotonic() < deadline, "the audit took up two changes in time"
        if audit.poll() is not None:
            break
        demo.until_live(demo.publish(authors[number % len(authors)], f"Audited {number}"))
    report = json.loads(audit.stdout.read())
    audit.stdout.close()
    assert audit.returncode == 0, report
    assert (report["missed"], report["unanswered"]) == (0, 0)
    assert [row["seconds"] for row in report["visible"]] == [1, 5, 6]
    assert report["changes"]["judged"] + report["changes"].get("untold", 0) == 2
    assert report["answers"]["fresh"] > 0
    assert "one edge location" in report["cannot_see"]
