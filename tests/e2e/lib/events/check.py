"""Reads events with the CloudEvents SDK for Python, as a subscriber would. Arguments: the files."""

import sys
from pathlib import Path

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

HEADERS = {"content-type": "application/cloudevents+json; charset=utf-8"}


def read(body: bytes):
    return from_http_event(HTTPMessage(headers=HEADERS, body=body))


def main(paths: list[str]) -> None:
    for path in paths:
        body = Path(path).read_bytes()
        event = read(body)
        assert event.get_id() and event.get_type().startswith("io.wharfinger."), path
        assert event.get_dataschema().startswith("urn:wharfinger:events:"), path
        assert event.get_data()["user_id"], path
        try:
            read(body.replace(b'"time": "', b'"time": "on ', 1))
        except Exception:
            continue
        raise AssertionError(f"{path}: a time that is none was accepted")
    print(f"python: {len(paths)} events")


main(sys.argv[1:])
