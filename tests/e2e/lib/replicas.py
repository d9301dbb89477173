"""One of three replicas killed under load, of CQL and of NATS. Started by replicas.sh, which says more."""

import json
import os
import subprocess
import time
import uuid
from functools import partial

import deployment
from deployment import Queue, Site, check, eventually, server
from kills import kill_server, start_server
from load import Load, check_everything, is_settled

# How long the load goes on with a replica away.
AWAY = 8.0
WARM = 30


def without(load: Load, name: str, node: str) -> None:
    """Kills one node under load, lets it go on for a while, and starts the node again."""
    warm = load.count("landed") + WARM
    eventually("the load is real", lambda: load.count("landed") >= warm, within=120)
    eventually("the copies are whole", is_whole)
    before, killed = load.count("landed"), time.monotonic()
    kill_server(node)
    longest = longest_gap(load, killed + AWAY)
    landed = load.count("landed") - before
    start_server(name, "cluster")
    errors = [words for at, words in load.errors if at >= killed]
    print(
        f"{node} killed: {landed} uploads landed in the {AWAY:.0f} s without it, the longest silence {longest:.1f} s;"
        f" {len(errors)} errors seen by clients",
        flush=True,
    )
    check(not errors, errors[:3])
    check(landed > 0, "work goes on without it")


def longest_gap(load: Load, until: float) -> float:
    """The longest time in which nothing landed."""
    longest, count, since = 0.0, load.count("landed"), time.monotonic()
    while time.monotonic() < until:
        now = load.count("landed")
        if now != count:
            count, since = now, time.monotonic()
        longest = max(longest, time.monotonic() - since)
        time.sleep(0.02)
    return longest


def nats(*words: str) -> dict:
    command = [os.environ["WHARFDEV_E2E_NATS_CLI"], "--no-context", "--server", server("NATS"), *words]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def is_whole() -> bool:
    """Whether every stream has a leader and two copies that are current."""
    for stream in ("WHARF_INGEST", "WHARF_EVENTS"):
        cluster = nats("stream", "info", stream, "--json").get("cluster", {})
        copies = cluster.get("replicas", [])
        if not cluster.get("leader") or len(copies) != 2:
            return False
        if not all(copy.get("current") and not copy.get("offline") for copy in copies):
            return False
    return True


def leader(stream: str) -> str:
    return nats("stream", "info", stream, "--json")["cluster"]["leader"]


def main() -> None:
    site = Site([Queue(server("SQS"), f"wharf-e2e-{uuid.uuid4().hex}")], deployment.shared_tables("_3"), replicas=3)
    began = time.monotonic()
    try:
        site.set_up()
        site.start()
        eventually("the copies are whole", is_whole)
        with Load(site) as load:
            without(load, "cql", "cql-2")
            without(load, "nats", leader("WHARF_EVENTS"))
            without(load, "nats", leader("WHARF_INGEST"))
            eventually("the copies are whole", is_whole)
            load.stop()
        eventually("everything that landed is settled", partial(is_settled, load), within=120)
        check_everything(load, began)
        print(
            f"replicas: {load.count('presigned')} presigns, {load.count('landed')} uploads and"
            f" {load.count('deleted')} deletes were acknowledged; all are there, counted and told",
            flush=True,
        )
    except BaseException:
        print(f"--- the service said\n{site.said()}", flush=True)
        raise
    finally:
        site.remove()


if __name__ == "__main__":
    main()
