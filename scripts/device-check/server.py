"""A server of scored, as a user starts it."""

import json
import re
import subprocess
import time
import urllib.request


class Server:
    """Serves generated weights on a free port, from a compile cache that starts of one
    run share. It is ready when made."""

    def __init__(self, args, log: str, within: float):
        command = [args.scored, "serve", "--device", args.device, "--plugin", args.plugin, "--model-path", args.model, "--load-format", "dummy", "--offline",
                   "--tokenizer-path", args.tokenizer, "--port", "0", "--context-length", str(args.context_length), "--compile-cache", f"{args.work}/programs",
                   "--enable-metrics", "--log-level-http", "error"]  # fmt: skip
        if args.buckets:
            command += ["--buckets", args.buckets]
        self.log, begun = log, time.monotonic()
        with open(log, "w") as file:
            self.process = subprocess.Popen(command, stderr=file)
        while not (found := re.search(r'ready to roll!" address=(\S+)', self.said())):
            if self.process.poll() is not None or time.monotonic() - begun > within:
                self.kill()
                raise RuntimeError(f"server is not ready after {time.monotonic() - begun:.0f} s: {(self.said().strip().splitlines() or ['it says nothing'])[-1]}")
            time.sleep(0.05)
        self.took, self.url = time.monotonic() - begun, f"http://{found[1]}"

    def said(self) -> str:
        with open(self.log) as file:
            return file.read()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return answer.read().decode()

    def post(self, path: str, body: dict) -> str:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def info(self) -> dict:
        return json.loads(self.get("/get_server_info"))

    def device(self) -> str:
        found = re.search(r'device is found" kind="?([^"\n]*?)"? target=', self.said())
        return found[1] if found else "unknown"

    def engines(self) -> str:
        """How many step shapes there are, and how many programs were compiled or came
        from the cache."""
        found = re.search(r'engines are ready" (.*)', self.said())
        return found[1] if found else ""

    def count(self, name: str) -> int:
        found = re.search(rf"\b{name}=(\d+)", self.engines())
        return int(found[1]) if found else 0

    def stop(self) -> int:
        """Ends it as an orchestrator does, and gives its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
