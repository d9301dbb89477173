"""A page in a real headless Chromium, on another port than the API, against `wharfinger dev`."""

import http.server
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
# How long the service may take to be ready, and the page to report.
READY_SECS, PAGE_SECS = 20, 40
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# A name that is not this machine's to the browser, and leads to it all the same.
FOREIGN = "app.example"
SKIPPED = 3


def browser() -> str | None:
    named = os.environ.get("WHARFDEV_BROWSER")
    return named or next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves the pages, and takes what they report."""

    settings: dict = {}
    results: queue.Queue = queue.Queue()

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/settings.json":
            self.answer(json.dumps(self.settings).encode(), "application/json")
        elif path in ("/page.html", "/foreign.html"):
            self.answer((HERE / path[1:]).read_bytes(), "text/html")
        else:
            self.send_error(404)

    def do_POST(self):
        self.results.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.answer(b"{}", "application/json")

    def answer(self, body: bytes, content_type: str):
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def started(binary: str, folder: str) -> tuple[subprocess.Popen, dict, pathlib.Path]:
    log = pathlib.Path(folder, "dev.log")
    with log.open("w") as errors:
        args = [binary, "dev", "--json", "--port", "0", "--data", f"{folder}/data"]
        process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=errors, text=True)
    lines: queue.Queue = queue.Queue()
    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    try:
        return process, json.loads(lines.get(timeout=READY_SECS)), log
    except (queue.Empty, ValueError):
        process.kill()
        sys.exit(f"dev was not ready: {log.read_text()[-2000:]}")


def shown(chromium: str, folder: str, url: str) -> list[dict]:
    args = [chromium, "--headless=new", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}/profile"]
    args.append(f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1")
    if os.geteuid() == 0:
        args.append("--no-sandbox")
    with open(f"{folder}/browser.log", "w") as log:
        process = subprocess.Popen([*args, url], stdout=log, stderr=log)
    try:
        return Pages.results.get(timeout=PAGE_SECS)
    except queue.Empty:
        sys.exit(f"the page reported nothing in {PAGE_SECS} s: {pathlib.Path(folder, 'browser.log').read_text()[-2000:]}")
    finally:
        process.kill()
        process.wait()


def main(binary: str) -> int:
    chromium = browser()
    if chromium is None:
        print("skipped: there is no Chromium here (Debian: apt-get install chromium; or set WHARFDEV_BROWSER)")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="wharf-browser-", ignore_cleanup_errors=True) as folder:
        dev, ready, log = started(binary, folder)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            port, api = server.server_address[1], ready["api_url"]
            foreign = f"http://{FOREIGN}:{port}/foreign.html?api={urllib.parse.quote(api, safe='')}"
            Pages.settings = {"api": api, "token": ready["token"], "foreign": foreign}
            results = shown(chromium, folder, f"http://localhost:{port}/page.html")
        finally:
            dev.terminate()
            dev.wait(timeout=READY_SECS)
        for result in results:
            print("ok    " if result["fault"] is None else "FAILED", result["name"], result["fault"] or "")
        warnings = [line for line in log.read_text().splitlines() if "refused a page" in line]
        is_told = len(warnings) == 1 and FOREIGN in warnings[0] and "http.allowed_origins" in warnings[0]
        print("ok    " if is_told else "FAILED", "the log names the origin that was refused, once", warnings if not is_told else "")
    return 0 if is_told and results and all(result["fault"] is None for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
