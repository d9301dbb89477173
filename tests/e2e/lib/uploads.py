"""Uploads from end to end, three ways. Started by uploads.sh, which says what they are."""

import dataclasses
import os
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import deployment
from deployment import Bucket, Queue, Site, User, check, eventually, percentile, server

USERS = 8
# Each user sends with two clients at a time.
CLIENTS = 2 * USERS


@dataclasses.dataclass
class Upload:
    """One upload and when its steps were done, in seconds of the monotonic clock."""

    user: User
    content: bytes
    grant: dict = dataclasses.field(default_factory=dict)
    asked: float = 0
    presigned: float = 0
    landed: float = 0
    processed: float = 0

    @property
    def file_id(self) -> str:
        return self.grant["file_id"]

    def send(self, completes: bool) -> None:
        self.asked = time.monotonic()
        self.grant = self.user.presign("a file.txt", self.content)
        self.presigned = time.monotonic()
        check(deployment.put(self.grant, self.content) == 200, "the bucket takes what was signed")
        self.landed = time.monotonic()
        if completes:
            check(self.user.complete(self.file_id)["status"] == "processed", "complete settles at once")
            self.processed = time.monotonic()

    def read_back(self) -> None:
        check(self.user.download(self.file_id) == self.content, f"{self.file_id} comes back as it went")


def contents(count: int) -> list[bytes]:
    """Sizes as people have them: most small, one in fifty half a megabyte."""
    dice = random.Random(count)
    return [dice.randbytes(524_288 if n % 50 == 49 else dice.randint(1, 16_384)) for n in range(count)]


def run(name: str, parts: list, completes: bool = False) -> None:
    count = int(os.environ.get("WHARFDEV_E2E_UPLOADS", "1000"))
    site = Site(parts, deployment.shared_tables())
    try:
        began = time.monotonic()
        site.set_up()
        site.start()
        users = [site.user() for _ in range(USERS)]
        uploads = [Upload(users[n % USERS], content) for n, content in enumerate(contents(count))]
        cpu = site.cpu_seconds()
        took = send_all(uploads, completes)
        cpu = (site.cpu_seconds() - cpu) / count
        read_everything_back(uploads)
        check_users(users, uploads, began)
        print(
            f"{name}: {count} uploads of {USERS} users processed in {took:.1f} s, {count / took:.0f}/s;"
            f" presign {spread([up.presigned - up.asked for up in uploads])};"
            f" landed to {'complete answered' if completes else 'event heard'}"
            f" {spread([up.processed - up.landed for up in uploads])}; our CPU {cpu * 1000:.1f} ms each",
            flush=True,
        )
    except BaseException:
        print(f"--- {name}: the service said\n{site.said()}", flush=True)
        raise
    finally:
        site.remove()


def spread(values: list[float]) -> str:
    return f"p50 {percentile(values, 0.5)}, p95 {percentile(values, 0.95)}"


def send_all(uploads: list[Upload], completes: bool) -> float:
    """Sends all of them and waits until each is processed; returns how long that took."""
    heard: dict[str, float] = {}

    def hear(event: dict) -> None:
        heard.setdefault(event["data"]["file_id"], time.monotonic())

    ears = [] if completes else [user.hear("files.processed", hear) for user in {up.user for up in uploads}]
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda upload: upload.send(completes), uploads))
    if not completes:
        eventually("every upload is told as processed", lambda: len(heard) >= len(uploads), within=180)
        for upload in uploads:
            upload.processed = heard[upload.file_id]
    took = time.monotonic() - began
    for end in ears:
        end()
    return took


def read_everything_back(uploads: list[Upload]) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(Upload.read_back, uploads))


def check_users(users: list[User], uploads: list[Upload], since: float) -> None:
    """Everything is processed, counted and told: once, in order, without a gap."""
    events = deployment.events_of(users, since)
    for user in users:
        own = {up.file_id: len(up.content) for up in uploads if up.user is user}
        files, usage = deployment.sums_agree(user)
        check({file["file_id"]: file["size_bytes"] for file in files} == own, "the list is what was sent")
        check(all(file["status"] == "processed" for file in files), "all are processed")
        check((usage["used_bytes"], usage["reserved_bytes"]) == (sum(own.values()), 0), usage)
        told = deployment.in_order(user, events[user.user_id])
        wanted = {(name, file_id) for name in ("reserved", "processed") for file_id in own}
        check(set(told) == wanted, f"{len(told)} events for {len(own)} files")
        check(len(events[user.user_id]) == len(wanted), "each is told once")
        for file_id in own:
            order = [int(told[(name, file_id)]["sequence"]) for name in ("reserved", "processed")]
            check(order == sorted(order), "reserved comes before processed")
        last = events[user.user_id][-1]["data"]["usage"]
        check(last["used_bytes"] == usage["used_bytes"], "the last event tells the sum")


def new_name() -> str:
    return f"wharf-e2e-{uuid.uuid4().hex}"


def main() -> None:
    run("notified", [Queue(server("SQS"), new_name())])
    keys = (os.environ["WHARFDEV_TEST_S3_KEY"], os.environ["WHARFDEV_TEST_S3_SECRET"])
    parts = [Queue(server("SQS"), new_name()), Bucket(server("S3"), new_name(), *keys)]
    run("complete", parts, completes=True)
    run("moto", [Queue(server("MOTO"), new_name()), Bucket(server("MOTO"), new_name())])


if __name__ == "__main__":
    main()
