"""Each server in turn killed under load and started again. Started by kills.sh, which says more."""

import os
import pathlib
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from functools import partial

import deployment
from deployment import Bucket, Queue, Site, User, check, eventually, server
from load import Load, check_everything, is_settled

# How long a server stays away.
AWAY = 1.0
# Uploads before each kill, so that it comes in the middle of work.
WARM = 40


def kill_server(node: str) -> None:
    """`kill -9` for a server of `scripts/servers`."""
    pid = int((pathlib.Path(os.environ["WHARFDEV_E2E_SERVERS_RUN"]) / f"{node}.pid").read_text())
    os.kill(pid, signal.SIGKILL)


def start_server(name: str, mode: str = "one") -> None:
    command = [str(deployment.ROOT / "scripts/servers"), "up", mode, name]
    subprocess.run(command, check=True, timeout=240, capture_output=True)


def recover(site: Site, load: Load, name: str, kill: Callable[[], None], start: Callable[[], None]) -> None:
    """Kills one part under load, starts it again, and waits until new work goes through and the old is settled."""
    warm = load.count("landed") + WARM
    eventually("the load is real", lambda: load.count("landed") >= warm, within=90)
    killed = time.monotonic()
    kill()
    time.sleep(AWAY)
    start()
    ready = time.monotonic()
    landed = {user: set(told.landed) for user, told in load.told.items()}
    probe = site.user()
    done = eventually("a new upload is processed", lambda: goes_through(probe, load), within=90)
    eventually("what had landed is settled", lambda: is_past(load, landed), within=120)
    settled = time.monotonic()
    errors = [words for at, words in load.errors if at >= killed]
    print(
        f"{name}: away {ready - killed:.1f} s; a new upload processed {done - ready:.1f} s after it was back,"
        f" all that had landed settled {settled - ready:.1f} s after; {len(errors)} requests refused or broken",
        flush=True,
    )


def goes_through(probe: User, load: Load) -> float:
    """One upload from presign to processed; when it was done, or 0."""
    grant = load.tried(lambda: probe.presign("probe.txt", b"probe"))
    if grant and load.put(grant, b"probe"):
        said = lambda: load.tried(lambda: probe.complete(grant["file_id"])) if load.completes else True  # noqa: E731
        seen = lambda: said() and load.tried(lambda: probe.file(grant["file_id"]))  # noqa: E731
        eventually("the probe is processed", lambda: (seen() or {}).get("status") == "processed", within=90)
        return time.monotonic()
    return 0.0


def is_past(load: Load, landed: dict[User, set[str]]) -> bool:
    """Whether none of these is pending any more, while the load goes on."""
    for user, own in landed.items():
        pending = load.tried(lambda user=user: [file["file_id"] for file in user.files("pending")])
        if pending is None or not own.isdisjoint(pending):
            return False
    return True


def run(name: str, parts: list, victims: list[str], completes: bool = False) -> None:
    site = Site(parts, deployment.shared_tables())
    began = time.monotonic()
    try:
        site.set_up()
        site.start()
        with Load(site, completes) as load:
            for victim in victims:
                if victim == "wharfinger":
                    recover(site, load, victim, site.kill, site.start)
                else:
                    recover(site, load, victim, partial(kill_server, victim), partial(start_server, victim))
            load.stop()
        eventually("everything that landed is settled", lambda: is_settled(load), within=120)
        check_everything(load, began)
        print(
            f"{name}: {load.count('presigned')} presigns, {load.count('landed')} uploads and"
            f" {load.count('deleted')} deletes were acknowledged; all are there, counted and told",
            flush=True,
        )
        check(load.count("landed") >= WARM * len(victims), "the load was real")
    except BaseException:
        print(f"--- {name}: the service said\n{site.said()}", flush=True)
        raise
    finally:
        site.remove()


def main() -> None:
    new_name = lambda: f"wharf-e2e-{uuid.uuid4().hex}"  # noqa: E731
    # What a killed process had in its hands stays hidden for this long; the least that we take.
    run("notified", [Queue(server("SQS"), new_name(), visibility_secs=30)], ["nats", "cql", "sqs", "wharfinger"])
    keys = (os.environ["WHARFDEV_TEST_S3_KEY"], os.environ["WHARFDEV_TEST_S3_SECRET"])
    parts = [Queue(server("SQS"), new_name()), Bucket(server("S3"), new_name(), *keys)]
    run("complete", parts, ["s3"], completes=True)


if __name__ == "__main__":
    main()
