"""One deployment under test: its settings, its process, its users, and what the `nats` command sees of it."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session

ROOT = pathlib.Path(__file__).resolve().parents[3]
REGION = "us-east-1"
# How long anything that must come may take, on a busy machine.
SOON = 60.0

# How a request fails that got no answer.
NO_ANSWER = (BotoCoreError, OSError)

# Asked to end, it ends as if by an error: what it started is stopped.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def server(name: str) -> str:
    """Where a server is, as `scripts/servers env` says."""
    return os.environ[f"WHARFDEV_TEST_{name}"]


def eventually(what: str, is_so: Callable[[], object], within: float = SOON, pause: float = 0.05):
    """Waits until something is so; returns what it then was."""
    deadline = time.monotonic() + within
    while True:
        found = is_so()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(pause)


def check(is_so: bool, what: object) -> None:
    """Like `assert`, which an optimising interpreter leaves out."""
    if not is_so:
        raise AssertionError(what)


def aws(service: str, url: str, key: str = "any", secret: str = "any"):
    """A client of the vendor's own SDK."""
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3})
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=config,
    )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def shared_tables(suffix: str = "") -> str:
    """One for all runs, so that they leave one behind; another for other tables."""
    tables = b"".join(file.read_bytes() for file in sorted((ROOT / "scylla").glob("*.cql")))
    return f"wharf_e2e{suffix}_{hashlib.sha256(tables).hexdigest()[:12]}"


class Queue:
    """A queue on SQS, made by `aws setup`."""

    def __init__(self, url: str, name: str, visibility_secs: int = 60):
        self.url, self.name, self.sqs, self.visibility_secs = url, name, aws("sqs", url), visibility_secs
        self.secrets = {"queue.key": "any"}

    def settings(self, folder: str) -> str:
        return f"""
[queue]
kind = "sqs"
name = "{self.name}"
region = "{REGION}"
endpoint = "{self.url}"
access_key_id = "any"
secret_key_file = "{folder}/queue.key"
visibility_secs = {self.visibility_secs}
"""

    def remove(self) -> None:
        for url in self.sqs.list_queues(QueueNamePrefix=self.name).get("QueueUrls", []):
            self.sqs.delete_queue(QueueUrl=url)


class Bucket:
    """A bucket on S3, made by `aws setup`."""

    def __init__(self, url: str, name: str, key: str = "any", secret: str = "any"):
        self.url, self.name, self.key, self.s3 = url, name, key, aws("s3", url, key, secret)
        self.secrets = {"bucket.key": secret}

    def settings(self, folder: str) -> str:
        return f"""
[objects]
kind = "s3"
bucket = "{self.name}"
region = "{REGION}"
endpoint = "{self.url}"
path_style = true
access_key_id = "{self.key}"
secret_key_file = "{folder}/bucket.key"
[signer]
kind = "s3"
"""

    def keys(self) -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def remove(self) -> None:
        for key in self.keys():
            self.s3.delete_object(Bucket=self.name, Key=key)
        self.s3.delete_bucket(Bucket=self.name)


class Site:
    """A folder with settings, secrets and data, and the process that runs on it."""

    def __init__(self, parts: list[Queue | Bucket], tables: str, replicas: int = 1):
        self.folder, self.parts = tempfile.mkdtemp(prefix="wharf-e2e-"), parts
        self.key = secrets.token_bytes(32)
        self.path("issuer.key").write_bytes(self.key)
        self.ports = free_ports(3)
        self.process: subprocess.Popen | None = None
        nodes, urls = (json.dumps(server(name).split(",")) for name in ("CQL", "NATS"))
        datacenter = 'datacenter = "datacenter1"' if replicas > 1 else ""
        has_bucket = any(isinstance(part, Bucket) for part in parts)
        endpoint = "" if has_bucket else f's3.listen = "127.0.0.1:{self.ports[2]}"'
        text = f"""
data_dir = "{self.folder}/data"
single_node = true
http.listen = "127.0.0.1:{self.ports[0]}"
admin.listen = "127.0.0.1:{self.ports[1]}"
{endpoint}
telemetry.filter = "{os.environ.get("WHARFDEV_E2E_FILTER", "warn")}"
[[auth.issuers]]
issuer = "e2e"
audience = "wharfinger"
algorithm = "HS256"
key_file = "{self.folder}/issuer.key"
subject = "uuid"
[ledger]
kind = "scylla"
[ledger.scylla]
nodes = {nodes}
keyspace = "{tables}"
replication = {replicas}
{datacenter}
[log]
kind = "nats"
[log.nats]
urls = {urls}
replicas = {replicas}
"""
        for part in parts:
            text += part.settings(self.folder)
            for name, secret in part.secrets.items():
                self.path(name).write_text(secret)
        self.path("wharfinger.toml").write_text(text)

    def path(self, name: str) -> pathlib.Path:
        return pathlib.Path(self.folder) / name

    def run(self, *args: str) -> str:
        """Runs another command with these settings; it must do well."""
        command = [os.environ["WHARFDEV_E2E_BIN"], *args, "--config", str(self.path("wharfinger.toml"))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=clean(), check=False)
        check(done.returncode == 0, f"{args}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> float:
        """Starts, and waits until operators see it ready with every part up; returns how long that took."""
        began = time.monotonic()
        log = self.path("log").open("ab")
        command = [os.environ["WHARFDEV_E2E_BIN"], "serve", "--config", str(self.path("wharfinger.toml"))]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean())
        log.close()
        eventually("every part is up", self.is_ready)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        ended = self.process.poll() if self.process else 0
        check(ended is None, f"the service ended with {ended}: {self.said()}")
        try:
            answer = call("GET", f"http://127.0.0.1:{self.ports[1]}/readyz?verbose", timeout=5)
        except Exception:  # It does not listen yet.
            return False
        of_a_bucket = ["objects", "signer"] if any(isinstance(part, Bucket) for part in self.parts) else []
        parts = ["ledger", "log", "queue", *of_a_bucket]
        return answer.status_code == 200 and all(f"[+] {part} up" in answer.text for part in parts)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait()

    def cpu_seconds(self) -> float:
        """What the process has spent so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Asks it to stop, and insists after a while; repeatable."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def remove(self) -> None:
        """Stops, and removes what is its own: folder, queue, bucket."""
        self.stop()
        for part in self.parts:
            part.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """The end of what it logged."""
        log = self.path("log")
        return "\n".join(log.read_text(errors="replace").splitlines()[-40:]) if log.exists() else ""

    def set_up(self) -> None:
        """Bucket, queue and tables, by the product's own commands."""
        self.run("aws", "setup")
        self.run("schema", "apply")

    def user(self) -> "User":
        return User(f"http://127.0.0.1:{self.ports[0]}", str(uuid.uuid4()), self.key)


def clean() -> dict[str, str]:
    """The environment without settings: those that name servers are none of the product's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WHARF_")}


_sessions = threading.local()


def call(method: str, url: str, headers: dict | None = None, body: bytes | None = None, timeout: float = 30):
    """One request by botocore's HTTP session, which does not repeat it."""
    if not hasattr(_sessions, "session"):
        _sessions.session = URLLib3Session(timeout=timeout)
    return _sessions.session.send(AWSRequest(method=method, url=url, headers=headers or {}, data=body).prepare())


class Refused(Exception):
    """An answer that is not the one asked for."""

    def __init__(self, answer):
        super().__init__(f"{answer.status_code} {answer.text[:300]}")
        self.status = answer.status_code


class User:
    """A user of the API, by plain HTTP."""

    def __init__(self, base: str, user_id: str, key: bytes):
        self.base, self.user_id = base, user_id
        claims = {"iss": "e2e", "aud": "wharfinger", "sub": user_id, "exp": int(time.time()) + 7200}
        parts = [{"alg": "HS256", "typ": "JWT"}, claims]
        text = b".".join(unpadded(json.dumps(part).encode()) for part in parts)
        mac = unpadded(hmac.digest(key, text, "sha256"))
        self.authorization = {"authorization": f"Bearer {(text + b'.' + mac).decode()}"}

    def ask(self, method: str, path: str, body: object = None, wanted: tuple = (200,)):
        headers, data = dict(self.authorization), None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body).encode()
        answer = call(method, self.base + path, headers, data)
        if answer.status_code not in wanted:
            raise Refused(answer)
        return json.loads(answer.content) if answer.content else None

    def presign(self, name: str, content: bytes) -> dict:
        body = {"filename": name, "size_bytes": len(content), "content_type": "text/plain"}
        body["checksum_sha256"] = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return self.ask("POST", "/v1/files/presign-upload", body, (201,))

    def file(self, file_id: str) -> dict:
        return self.ask("GET", f"/v1/files/{file_id}")

    def delete(self, file_id: str) -> None:
        self.ask("DELETE", f"/v1/files/{file_id}?permanent=true", wanted=(204,))

    def complete(self, file_id: str) -> dict:
        return self.ask("POST", f"/v1/files/{file_id}/complete", {}, (200, 202))

    def download(self, file_id: str) -> bytes:
        link = self.ask("GET", f"/v1/files/{file_id}/download-url")
        answer = call("GET", link["download_url"])
        if answer.status_code != 200:
            raise Refused(answer)
        return answer.content

    def usage(self) -> dict:
        return self.ask("GET", "/v1/usage")

    def files(self, status: str = "") -> Iterator[dict]:
        """Every file, page by page."""
        cursor = ""
        while cursor is not None:
            asked = {"size": "200", "status": status, "cursor": cursor}
            query = urllib.parse.urlencode({name: value for name, value in asked.items() if value})
            page = self.ask("GET", f"/v1/files?{query}")
            yield from page["items"]
            cursor = page["next_cursor"]

    def hear(self, name: str, heard: Callable[[dict], None]) -> Callable[[], None]:
        """Tells of each own event of this name as it happens, from now on; returns what ends it."""
        address = self.base.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=300)
        connection.request("GET", "/v1/events", headers=self.authorization)
        answer = connection.getresponse()
        check(answer.status == 200, answer.status)

        def read() -> None:
            event = ""
            try:
                while line := answer.readline():
                    if line.startswith(b"event: "):
                        event = line[7:].strip().decode()
                    elif line.startswith(b"data: ") and event == name:
                        heard(json.loads(line[6:]))
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                pass  # It was ended.

        thread = threading.Thread(target=read, daemon=True)
        thread.start()

        def end() -> None:
            connection.sock.shutdown(socket.SHUT_RDWR)
            thread.join()
            connection.close()

        return end


def put(grant: dict, content: bytes) -> int:
    """Sends the bytes exactly as the grant says; returns the status."""
    return call("PUT", grant["upload_url"], dict(grant["headers"]), content).status_code


def unpadded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def events_of(users: list[User], since: float) -> dict[str, list[dict]]:
    """The events of these users since a moment (monotonic), in the order of the stream, as `nats` reads them.

    The command (0.3.0) says that it takes a filter together with a start, and then shows every subject, so the
    choice is made here.
    """
    command = [os.environ["WHARFDEV_E2E_NATS_CLI"], "--no-context", "--server", server("NATS"), "subscribe", "--raw"]
    command += ["--stream", "WHARF_EVENTS", "--since", f"{time.monotonic() - since + 60:.0f}s", "--wait", "3s"]
    done = subprocess.run([*command, "wharf.>"], capture_output=True, timeout=180, check=False)
    check(done.returncode == 0, done.stderr)
    found: dict[str, list[dict]] = {user.user_id: [] for user in users}
    for line in done.stdout.splitlines():
        if line.startswith(b"{") and b'"partitionkey"' in line:
            event = json.loads(line)
            found.get(event["partitionkey"], []).append(event)
    return found


def in_order(user: User, events: list[dict], may_repeat: bool = False) -> dict[tuple[str, str], dict]:
    """The events of a user are whole and in order; returns them by type and file."""
    seen: list[int] = []
    told: dict[tuple[str, str], dict] = {}
    for event in events:
        version = int(event["sequence"])
        check(event["partitionkey"] == user.user_id, event)
        if may_repeat and seen and version <= seen[-1]:
            continue
        check(version == len(seen) + 1, f"{user.user_id}: {version} came after {seen[-1:]}")
        seen.append(version)
        told[(event["type"].split(".")[-2], event["data"]["file_id"])] = event
    return told


def sums_agree(user: User) -> tuple[list[dict], dict]:
    """What is counted is what is there."""
    files, usage = list(user.files()), user.usage()
    by = lambda status: [file["size_bytes"] for file in files if file["status"] == status]  # noqa: E731
    trashed = list(user.files("trashed"))
    check(len({file["file_id"] for file in files}) == len(files), "a file is listed twice")
    counted = (usage["used_bytes"], usage["reserved_bytes"], usage["file_count"], usage["pending_count"])
    there = (
        sum(by("processed")) + sum(file["size_bytes"] for file in trashed),
        sum(by("pending")),
        len(by("processed")) + len(by("pending")) + len(trashed),
        len(by("pending")),
    )
    check(counted == there, f"{user.user_id}: counted {counted}, there {there}")
    return files, usage


def percentile(values: list[float], share: float) -> str:
    """In milliseconds, for people."""
    ordered = sorted(values)
    return f"{ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000:.1f} ms"
