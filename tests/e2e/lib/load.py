"""Clients that upload and delete until they are told to stop, and what was acknowledged to them."""

import dataclasses
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import deployment
from deployment import Refused, Site, User, check, eventually

CLIENTS = 8
# How long a client tries to say that it is done.
PATIENCE = 90.0


@dataclasses.dataclass
class Acknowledged:
    """What one user was told, and so must be true for ever."""

    presigned: dict[str, bytes] = dataclasses.field(default_factory=dict)
    landed: set[str] = dataclasses.field(default_factory=set)
    deleted: set[str] = dataclasses.field(default_factory=set)
    # A delete without an answer: it may have happened, and may happen yet.
    delete_asked: set[str] = dataclasses.field(default_factory=set)


class Load:
    """Runs while its block does. With `completes`, clients tell the API of what they have put."""

    def __init__(self, site: Site, completes: bool = False):
        self.completes = completes
        self.told = {site.user(): Acknowledged() for _ in range(CLIENTS)}
        # When an API call failed, and how, to the client.
        self.errors: list[tuple[float, str]] = []
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(CLIENTS)

    def __enter__(self) -> "Load":
        self.running = [self.pool.submit(self.work, *item) for item in enumerate(self.told.items())]
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.pool.shutdown()

    def stop(self) -> None:
        """Lets every client end its turn; a defect of a client is raised here."""
        self.stopping.set()
        for client in self.running:
            client.result()

    def count(self, kind: str) -> int:
        return sum(len(getattr(told, kind)) for told in self.told.values())

    def work(self, number: int, item: tuple[User, Acknowledged]) -> None:
        user, told = item
        dice = random.Random(number)
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            self.upload(user, told, dice.randbytes(dice.randint(1, 4096)))
            if turn % 3 == 0:
                self.delete(user, told, sorted(told.landed - told.delete_asked)[:1])

    def upload(self, user: User, told: Acknowledged, content: bytes) -> None:
        grant = self.tried(lambda: user.presign("a file.txt", content))
        if grant is None:
            return
        told.presigned[grant["file_id"]] = content
        if self.put(grant, content):
            told.landed.add(grant["file_id"])
            if self.completes:
                eventually(
                    "complete is answered", lambda: self.tried(lambda: user.complete(grant["file_id"])), PATIENCE
                )

    def put(self, grant: dict, content: bytes) -> bool:
        """Repeats until the bucket has it: 412 says that an earlier try did land."""
        give_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < give_up_at:
            try:
                status = deployment.put(grant, content)
            except deployment.NO_ANSWER:
                status = 0
            if status in (200, 412):
                return True
            check(status == 0 or status >= 500 or status == 409, f"the bucket answers {status} to what was signed")
            time.sleep(0.1)
        return False

    def delete(self, user: User, told: Acknowledged, some: list[str]) -> None:
        for file_id in some:
            told.delete_asked.add(file_id)
            if self.tried(lambda: (user.delete(file_id), True)):
                told.deleted.add(file_id)

    def tried(self, ask):
        """What was asked for; none, and a note, where there was no answer or a 5xx."""
        try:
            return ask()
        except (Refused, *deployment.NO_ANSWER) as error:
            check(not isinstance(error, Refused) or error.status >= 500, f"a client is told {error}")
            self.errors.append((time.monotonic(), str(error)))
            time.sleep(0.2)
            return None


def is_settled(load: Load) -> bool:
    """Whether all that landed is processed or deleted: nothing is held for it any more."""
    for user, told in load.told.items():
        try:
            pending = list(user.files("pending"))
            # Deleted before its news came, a file is listed as cancelled and held until they come.
            held = user.usage()["pending_count"] - len(pending)
        except deployment.Refused:
            return False  # a node is only just back; asked again
        if held or any(file["file_id"] in told.landed for file in pending):
            return False
    return True


def check_everything(load: Load, since: float) -> None:
    """What was acknowledged is true: in the lists, in the sums, in the bucket and, soon, in the events."""
    wanted = {user: check_user(user, told) for user, told in load.told.items()}
    missing: dict[str, list] = {}

    def is_all_told() -> bool:
        events = deployment.events_of(list(wanted), since)
        missing.clear()
        for user, own in wanted.items():
            heard = deployment.in_order(user, events[user.user_id], may_repeat=True)
            if untold := sorted(own - heard.keys()):
                missing[user.user_id] = [*untold[:3], f"{len(untold)} in all, {len(heard)} heard"]
        return not missing

    began = time.monotonic()
    try:
        eventually("every change is told", is_all_told, within=60, pause=1)
    except AssertionError as late:
        raise AssertionError(f"{late}: {missing}") from None
    print(f"every change was told {time.monotonic() - began:.0f} s after the sums were checked", flush=True)


def check_user(user: User, told: Acknowledged) -> set[tuple[str, str]]:
    """Lists, sums and bytes of one user; returns the events that there must be."""
    files, _ = deployment.sums_agree(user)
    status = {file["file_id"]: file["reason"] or file["status"] for file in files}
    for file_id in told.presigned.keys() - told.delete_asked:
        check(file_id in status, f"the acknowledged presign of {file_id} is lost")
    for file_id in told.landed - told.delete_asked:
        check(status[file_id] == "processed", f"{file_id} landed and is {status[file_id]}")
        check(user.download(file_id) == told.presigned[file_id], f"{file_id} comes back as it went")
    for file_id in told.deleted:
        # Deleted before it was processed, it was cancelled.
        check(status.get(file_id) in (None, "cancelled"), f"{file_id} came back as {status.get(file_id)}")
    wanted = {("reserved", file_id) for file_id in told.presigned}
    wanted |= {("failed" if file_id in status else "deleted", file_id) for file_id in told.deleted}
    return wanted | {("processed", file_id) for file_id, is_now in status.items() if is_now == "processed"}
