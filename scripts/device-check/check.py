"""What scripts/device-check.sh runs: see there. Python's standard library alone."""

import argparse
import gzip
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import report
from server import Server

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))

# (workload of `scored bench`, clients), in order of worth: what comes last is left out
# first where time is short.
LOADS = [("w2", 1), ("w2", 4), ("w1", 1), ("w1", 16), ("w3", 1), ("s1", 16), ("s4", 32), ("w4", 2), ("s2", 8), ("s3", 64)]
TEXTS = [("w2", 4), ("w1", 16), ("w3", 1), ("s1", 16)]


class Check:
    """One run: its time, its parts' results, and what failed or was left out."""

    def __init__(self, args):
        self.args, self.begun = args, time.monotonic()
        self.result = {"loads": [], "failed": [], "left_out": []}

    def left(self) -> float:
        return self.args.limit - (time.monotonic() - self.begun)

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.begun:4.0f}s {text}", flush=True)

    def fail(self, text: str) -> None:
        self.say("FAILED: " + text)
        self.result["failed"].append(text)

    def part(self, name: str, needs: float, work) -> None:
        """Runs a part if there is time for it; whatever it raises is a failed check."""
        if name.split(":")[0] in self.args.skip:
            return
        if self.left() < needs:
            self.say(f"left out for lack of time: {name}")
            self.result["left_out"].append(name)
            return
        try:
            work()
        except (OSError, ValueError, KeyError, subprocess.SubprocessError, RuntimeError) as fault:
            self.fail(f"{name}: {fault}")

    def run(self, command: list[str], within: float, **more) -> subprocess.CompletedProcess:
        within = max(1, min(within, self.left()))
        return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=within, **more)

    # The parts, in their order.

    def golden(self) -> None:
        binary = os.path.join(self.args.work, "golden.test")
        if self.args.golden.endswith(".gz"):
            with gzip.open(self.args.golden) as packed, open(binary, "wb") as plain:
                shutil.copyfileobj(packed, plain)
        else:
            shutil.copy(self.args.golden, binary)
        os.chmod(binary, 0o755)
        environment = {**os.environ, "SCORED_GOLDEN_PLUGIN": self.args.plugin, "SCORED_GOLDEN_VECTORS": self.args.golden_vectors}
        done = self.run([binary, "-test.run", "OnDevice", "-test.v"], 150, cwd=f"{ROOT}/tests/golden", env=environment)
        self.keep("golden.log", done.stdout)
        verdicts = {name: verdict for verdict, name in re.findall(r"^ {4}--- (\w+): (Test\w+/\w+) ", done.stdout, re.M)}
        self.result["golden"] = {"verdicts": verdicts, "seen": re.findall(r"log-probabilities: .*", done.stdout)}
        for name, verdict in verdicts.items():
            self.say(f"{name}: {verdict}")
        demanded = [f"{test}/{way}" for test in ("TestOnDevice", "TestContractOnDevice") for way in ("native", "kernels") if way == "native" or self.args.device != "cpu"]
        if done.returncode or any(verdicts.get(name) != "PASS" for name in demanded):
            raise RuntimeError("vectors or contract did not pass: " + done.stdout[-600:])

    def start(self, kind: str) -> Server:
        server = Server(self.args, os.path.join(self.args.out, f"server-{kind}.log"), max(1, min(240, self.left() - 5)))
        info = server.info()
        self.result.setdefault("start_s", {})[kind] = round(server.took, 2)
        self.say(f"{kind} start took {server.took:.1f} s, attention {info.get('attention_backend')}, {server.engines()}")
        if kind == "warm" and server.count("compiled"):
            self.fail(f"warm start compiled {server.count('compiled')} programs anew")
        self.result.update(device=server.device(), attention=info.get("attention_backend"), engines=server.engines(), server_version=info.get("version"))
        return server

    def load(self, server: Server, workload: str, clients: int, text: bool, verify: bool) -> None:
        args = self.args
        command = [args.scored, "bench", "--url", server.url, "--json", "--workload", workload, "--clients", str(clients), "--labels", args.labels,
                   "--duration", f"{args.seconds}s", "--warmup", f"{args.warmup}s", "--timeout", "30s", "--tolerance", str(args.tolerance)]
        command += [] if text else ["--token-ids", "--vocab", str(args.vocab)]
        command += ["--verify"] if verify else []
        name = f"{workload} {clients} clients {'text' if text else 'token ids'}"
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=max(1, min(self.left(), args.seconds + args.warmup + 60)))
        self.keep(f"bench-{workload}-{clients}{'-text' if text else ''}.json", done.stdout)
        if not done.stdout:
            raise RuntimeError(f"bench says {done.stderr.strip()}")
        measured = json.loads(done.stdout)
        isolation = measured.get("isolation") or {}
        self.result["loads"].append({
            "workload": workload, "clients": clients, "text": text, "items_per_s": measured["items_per_s"], "p50_ms": measured["latency"]["p50_ms"],
            "p99_ms": measured["latency"]["p99_ms"], "requests": measured["requests"], "apart": isolation.get("worst"), "server": measured["server"]})
        self.say(f"{name}: {measured['items_per_s']:.1f} items/s, p50 {measured['latency']['p50_ms']:.1f} ms, p99 {measured['latency']['p99_ms']:.1f} ms")
        if done.returncode:
            self.fail(f"{name}: {done.stderr.strip()}")

    def profile(self, server: Server) -> None:
        """A profile while clients load the server: it loses no request, and its report
        names executables."""
        args, folder = self.args, os.path.join(self.args.out, "profile")
        load = subprocess.Popen([args.scored, "bench", "--url", server.url, "--json", "--workload", "w2", "--clients", "4", "--labels", args.labels,
                                 "--token-ids", "--vocab", str(args.vocab), "--duration", f"{args.seconds + args.profile_seconds}s", "--warmup", "0s", "--timeout", "30s"],
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        try:
            time.sleep(2)
            server.post("/start_profile", {"output_dir": folder, "num_steps": args.profile_steps})
            until = time.monotonic() + max(1, min(60, self.left()))
            while "idle" not in server.get("/profile_status"):
                if time.monotonic() > until:
                    raise RuntimeError("profile does not end")
                time.sleep(0.1)
            _, errors = load.communicate(timeout=max(1, min(self.left(), args.seconds + 60)))
        finally:
            if load.poll() is None:
                load.kill()
                load.wait()
        if load.returncode:
            self.fail(f"load beside the profile: {errors.strip()}")
        said = self.run([args.scored, "profile", "report", folder], 60).stdout
        self.keep("profile.txt", said)
        self.result["profile"] = said.splitlines()
        shares = report.shares(said)
        for table, total in shares.items():
            if total > 100.5:
                self.fail(f"shares of {table} add up to {total:.1f} %")
        if "TIME PER EXECUTABLE" not in shares:
            raise RuntimeError("report has no executables: " + said[-400:])
        self.say(f"profile: {report.overview(said)}")

    def healthy(self, server: Server) -> None:
        metrics = server.get("/metrics")
        bad = [line for line in re.findall(r'^scored_requests_total\{code="5\d\d"\} \S+', metrics, re.M) if not line.endswith(" 0")]
        if bad:
            self.fail(f"requests were answered with {', '.join(bad)}")
        for path in ("/livez", "/health"):
            server.get(path)  # raises if it is not 200
        if status := server.stop():
            self.fail(f"server ended with status {status}")

    def peer(self) -> None:
        args = self.args
        done = subprocess.run([sys.executable, f"{HERE}/peer.py", args.model, "--seconds", str(args.peer_seconds), "--limit", str(max(1, self.left() - 10)),
                               *(["--cpu"] if args.device == "cpu" else [])], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=max(1, self.left()))
        self.keep("peer.json", done.stdout)
        self.keep("peer.log", done.stderr)
        if done.returncode == 3:
            self.say("transformers are not compared: " + done.stderr.strip())
            self.result["left_out"].append("transformers: " + done.stderr.strip().splitlines()[-1])
            return
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-400:])
        self.result["transformers"] = json.loads(done.stdout)
        for figure in self.result["transformers"]["figures"]:
            self.say(f"transformers {figure['name']}: {figure['items_per_s']} items/s")

    def keep(self, name: str, text: str) -> None:
        with open(os.path.join(self.args.out, name), "w") as file:
            file.write(text)


def machine(args) -> dict:
    """Names of the card and the host, as far as they can be had."""
    about = {"host": f"{os.cpu_count()} cores, {platform.machine()}"}
    if shutil.which("nvidia-smi") and args.device == "cuda":
        asked = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"], text=True, stdout=subprocess.PIPE)
        about["card"] = asked.stdout.strip()
    return about


def find_plugin(args) -> str:
    if args.plugin:
        return os.path.abspath(args.plugin)
    if args.device == "cuda":
        import sysconfig

        beside = os.path.join(sysconfig.get_paths()["purelib"], "jax_plugins/xla_cuda13/xla_cuda_plugin.so")
        if os.path.exists(beside):
            return beside
    done = subprocess.run([args.scored, "setup", args.device, "--plugin-dir", f"{ROOT}/.cache/plugins"], text=True, stdout=subprocess.PIPE)
    path = done.stdout.strip().splitlines()[-1:]
    if done.returncode or not path:
        raise SystemExit(f"device-check: no plugin for {args.device}; name one with --plugin")
    return os.path.abspath(path[0])


def arguments():
    p = argparse.ArgumentParser(prog="device-check.sh", description="Checks and measures scored on a device, within eight minutes.")
    p.add_argument("--device", default="cuda", choices=["cuda", "tpu", "cpu"])
    p.add_argument("--plugin", default="", help="the PJRT plugin (default: that of jax beside this Python, else what scored setup has)")
    p.add_argument("--scored", default=os.environ.get("SCORED", f"{ROOT}/bin/scored"), help="the binary")
    p.add_argument("--golden", default=os.environ.get("GOLDEN", ""), help="test binary of tests/golden, may be gzipped (default: golden.test or golden.test.gz beside the binary)")
    p.add_argument("--golden-vectors", default="full", help="model of the golden vectors, a name in tests/golden")
    p.add_argument("--model", default=f"{ROOT}/model/checkpoint/testdata/config/Qwen3-0.6B", help="folder of config.json; weights are generated")
    p.add_argument("--tokenizer", default="", help="folder of tokenizer.json (default: Qwen3's, or a small one where that was not fetched)")
    p.add_argument("--context-length", type=int, default=8192)
    p.add_argument("--buckets", default="", help="step shapes (default: those of the device)")
    p.add_argument("--labels", default="9454,2753")
    p.add_argument("--vocab", type=int, default=151643, help="token ids are below it")
    p.add_argument("--tolerance", type=float, default=0.03, help="difference of a score of an item alone and in its request")
    p.add_argument("--seconds", type=float, default=5, help="of each load")
    p.add_argument("--warmup", type=float, default=1.5)
    p.add_argument("--peer-seconds", type=float, default=3, help="of each figure of transformers")
    p.add_argument("--profile-steps", type=int, default=40)
    p.add_argument("--profile-seconds", type=float, default=8, help="of load beside the profile, besides --seconds")
    p.add_argument("--limit", type=float, default=470, help="seconds for all of it")
    p.add_argument("--loads", default="", help="some of the loads, as w2:4,s1:16 (default: all)")
    p.add_argument("--skip", default="", help="parts to leave out: golden, load, text, profile, peer")
    p.add_argument("--out", default="device-check", help="folder of results")
    args = p.parse_args()
    args.skip = args.skip.split(",")
    args.out = os.path.abspath(args.out)
    os.makedirs(args.out, exist_ok=True)
    if not os.access(args.scored, os.X_OK):
        raise SystemExit(f"device-check: {args.scored} is not there; run make build, or name it with --scored")
    args.scored = os.path.abspath(args.scored)
    args.plugin = find_plugin(args)
    if not args.tokenizer:
        large = f"{ROOT}/.cache/tokenizer/qwen3"
        args.tokenizer = large if os.path.isdir(large) else f"{ROOT}/tests/tokenizer/small"
    beside = [os.path.join(os.path.dirname(args.scored), name) for name in ("golden.test", "golden.test.gz")]
    args.golden = args.golden or next((path for path in beside if os.path.exists(path)), "")
    return args


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory() as args.work:
        check = Check(args)
        return measure(check)


def measure(check: Check) -> int:
    args, loads = check.args, LOADS
    if args.loads:
        loads = [(name, int(clients)) for name, _, clients in (load.partition(":") for load in args.loads.split(","))]
    check.result.update(machine(args))
    check.result["version"] = subprocess.run([args.scored, "version"], text=True, stdout=subprocess.PIPE).stdout.strip()
    check.say(f"{check.result.get('card') or check.result['host']}, {check.result['version']}, plugin {args.plugin}")
    if args.golden or "golden" in args.skip:
        check.part("golden", 30, check.golden)
    else:
        check.result["left_out"].append("golden: no test binary; name one with --golden")
    server = None
    try:
        cold = check.start("cold")
        if status := cold.stop():
            check.fail(f"server ended with status {status}")
        server = check.start("warm")
        reserve = 8 * args.peer_seconds + 40 if "peer" not in args.skip else 10  # for what comes behind the loads
        each = args.seconds + args.warmup + 3
        check.part("profile", reserve, lambda: check.profile(server))
        for name, clients in loads:
            check.part(f"load: {name} {clients} clients", reserve + each, lambda: check.load(server, name, clients, False, True))
        for name, clients in TEXTS if not args.loads else loads:
            check.part(f"text: {name} {clients} clients", reserve + each, lambda: check.load(server, name, clients, True, False))
        check.healthy(server)
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as fault:
        check.fail(str(fault))
    finally:
        if server:
            server.kill()
    check.part("peer", 30, check.peer)
    check.result["seconds"] = round(time.monotonic() - check.begun)
    with open(os.path.join(args.out, "results.json"), "w") as file:
        json.dump(check.result, file, indent=1)
    table = report.table(check.result)
    check.keep("results.md", table)
    print(table)
    check.say("PASSED" if not check.result["failed"] and not check.result["left_out"] else
              f"{len(check.result['failed'])} checks FAILED, {len(check.result['left_out'])} left out")  # fmt: skip
    return 1 if check.result["failed"] or check.result["left_out"] else 0


if __name__ == "__main__":
    sys.exit(main())
