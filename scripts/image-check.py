#!/usr/bin/env python3
"""Builds what the Dockerfile builds, without docker, and starts it as the image would:
its stages' commands run in a clean folder, on this machine's compilers instead of the
stages' base images, and what the last stage copies is laid out as a root.

usage: image-check.py [DEVICE]   (cpu, tpu, cuda or none; default cpu. Only cpu and none
are started.)

Paths at the root that the Dockerfile names lie below the folder. The tokenizers' library
and the plugin are taken from .build/lib and .cache/plugins where they are there, unless
CLEAN=1. The root is read-only and the user nobody's; the base image is not there, so the
C library and certificates are this machine's. Sizes are of what the image adds to its
base.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent.parent
WORK = HERE / ".build" / "image-check"
USER = 54321  # any that owns nothing here


def instructions():
    """The Dockerfile's instructions, each a word and its text."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (HERE / "Dockerfile").read_text()).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        yield word.upper(), rest.strip()


class Stage:
    """One stage: its root is a folder."""

    def __init__(self, name, base):
        self.root = WORK / name
        self.base = base
        self.env = dict(base.env) if base else {}
        self.workdir = base.workdir if base else "/"
        self.added = []
        self.settings = {}
        if base and base is not OUTSIDE:  # what its commands see and change is one folder, as nothing else uses it
            self.root = base.root
        self.root.mkdir(parents=True, exist_ok=True)

    def at(self, path):
        return self.root / os.path.join(self.workdir, path).lstrip("/")


class Outside:
    """A base image: this machine stands for it."""

    env: dict = {}
    workdir = "/"
    root = pathlib.Path("/")


OUTSIDE = Outside()


def tracked():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=HERE, check=True, capture_output=True, text=True).stdout
    return [n for n in names.split("\0") if n and (HERE / n).exists()]


def copy(stage, words, stages):
    froms = [w[7:] for w in words if w.startswith("--from=")]
    *sources, to = [w for w in words if not w.startswith("--")]
    origin = stages.get(froms[0]) if froms else None
    target = stage.at(to)
    for source in sources:
        if froms and (origin is None or origin.base is OUTSIDE and not (origin.root / source.lstrip("/")).exists()):
            print(f"  COPY {source}: of the base image {froms[0]}, left out")
            continue
        if froms:
            whole = origin.root / source.lstrip("/")
            into = target / whole.name if to.endswith("/") else target
            into.parent.mkdir(parents=True, exist_ok=True)
            if whole.is_dir():
                shutil.copytree(whole, into, dirs_exist_ok=True, symlinks=True)
            else:
                shutil.copy2(whole, into)
            stage.added.append(into)
            continue
        for name in tracked():
            inside = os.path.relpath(name, source)
            if source != "." and name != source and inside.startswith(".."):
                continue
            into = target / (name if source == "." else os.path.basename(name) if name == source else inside)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, into)


def run(stage, command, arguments):
    """Runs a command with the paths at the root that the Dockerfile uses below the
    stage's folder."""
    if not os.environ.get("CLEAN"):
        seed(stage, command)
    # A path at the root that stands by itself or behind -L, and not one of this machine
    # such as /etc.
    command = re.sub(r"(?:(?<=-L)|(?<![\w.$}/]))(?=/(?:src|lib/tokenizers|out|plugins|empty)\b)", lambda _: str(stage.root), command)
    env = {**os.environ, **arguments, "CGO_LDFLAGS": ""}
    print(f"  RUN {command.replace(str(stage.root), '')}", flush=True)
    began = time.monotonic()
    subprocess.run(["sh", "-ec", command], cwd=stage.at("."), env=env, check=True, stdout=subprocess.DEVNULL)
    print(f"      {time.monotonic() - began:.0f} s", flush=True)


def seed(stage, command):
    if "libtokenizers.sh" in command and (HERE / ".build/lib/libtokenizers.a").exists():
        shutil.copytree(HERE / ".build/lib", stage.root / "lib/tokenizers", dirs_exist_ok=True)
    plugin = {"cpu": "*jax-pjrt-cpu*", "tpu": "libtpu-*"}.get(DEVICE)
    if " setup " in command and plugin:
        for path in filter(pathlib.Path.is_dir, (HERE / ".cache/plugins").glob(plugin)):
            shutil.copytree(path, stage.root / "plugins" / path.name, dirs_exist_ok=True, symlinks=True)


def build():
    stages, arguments, stage = {}, {}, None
    for word, rest in instructions():
        rest_now = re.sub(r"\$\{(\w+)\}", lambda m: arguments.get(m[1], m[0]), rest)
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments.setdefault(name, value)
            if name == "DEVICE":
                arguments[name] = DEVICE
        elif word == "FROM":
            base, _, name = rest_now.partition(" AS ")
            stage = Stage(name or "image", stages.get(base, OUTSIDE))
            stages[name or "image"] = stage
            print(f"FROM {rest_now}")
        elif word == "WORKDIR":
            stage.workdir = rest
            stage.at(".").mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            copy(stage, shlex.split(rest_now), stages)
        elif word == "RUN":
            run(stage, rest, {"DEVICE": DEVICE})
        elif word == "ENV":
            stage.env.update(pair.partition("=")[::2] for pair in shlex.split(rest_now))
        else:
            stage.settings[word] = rest_now
    return stages["image"]


def size(path):
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file() and not p.is_symlink())


def start(image):
    """Starts the image's command with its environment, on a root that cannot be written
    to, as a user who owns nothing."""
    root = image.root
    for name in ("proc", "dev", "etc", "tmp", "cache", "models", "lib", "lib64", "usr/lib", "usr/lib64"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "tests/models/tiny", root / "models/tiny", dirs_exist_ok=True)
    shutil.copytree(HERE / "tests/tokenizer/small", root / "models/tokenizer", dirs_exist_ok=True)
    entry = json.loads(image.settings["ENTRYPOINT"]) + json.loads(image.settings["CMD"])
    entry += ["--model-path=/models/tiny", "--load-format=dummy", "--tokenizer-path=/models/tokenizer", "--port=0", "--enable-metrics"]
    env = {k: v for k, v in image.env.items() if k != "SCORED_PORT"} | {"SCORED_PORT": "0", "SCORED_HOST": "127.0.0.1"}
    mounts = [f"mount --bind {root} {root}"]
    mounts += [f"mount --bind /{lib} {root}/{lib}" for lib in ("lib", "lib64", "usr/lib") if pathlib.Path("/" + lib).exists()]
    mounts += [f"mount --rbind /dev {root}/dev", f"mount --rbind /proc {root}/proc"]
    mounts += [f"mount -t tmpfs -o mode=1777 tmpfs {root}/{d}" for d in ("tmp", "cache")]
    mounts += [f"mount -o remount,bind,ro {root}"]
    inside = f"exec chroot --userspec={USER}:{USER} --groups= {root} {shlex.join(entry)}"
    # Nothing can be written below the root; else the server is not even started.
    script = " && ".join(mounts) + f" && if touch {root}/written 2>/dev/null; then exit 1; fi && {inside}"
    command = ["unshare", "--mount", "sh", "-c", script]  # each gives way to the next, so that signals reach the server
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", " && ".join(mounts + [f"chroot {root} /usr/local/bin/scored version"])],
                           capture_output=True, text=True)
    if probe.returncode:
        return "not started: this machine does not let us mount or change the root: " + probe.stderr.strip()
    process = subprocess.Popen(command, env={"PATH": os.environ["PATH"], **env}, stderr=subprocess.PIPE, text=True)
    log = []
    try:
        for line in process.stderr:
            log.append(line)
            if found := re.search(r'ready to roll!" address=(\S+)', line):
                return ask("http://" + found[1])
        raise SystemExit("image-check: the server ended before it was ready:\n" + "".join(log))
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise SystemExit("image-check: the server does not stop") from None


def ask(address):
    body = json.dumps({"model": "tiny", "query": [1, 2], "items": [[3], [4]], "label_token_ids": [5, 6], "apply_softmax": True}).encode()
    request = urllib.request.Request(address + "/v1/score", body, {"Content-Type": "application/json"})
    scores = json.load(urllib.request.urlopen(request, timeout=60))["scores"]
    if len(scores) != 2 or any(abs(sum(row) - 1) > 1e-6 for row in scores):
        raise SystemExit(f"image-check: the server answers {scores}")
    return f"answers /v1/score as user {USER}, from a read-only root with /cache and /tmp"


DEVICE = sys.argv[1] if len(sys.argv) > 1 else "cpu"
if str(WORK) in pathlib.Path("/proc/self/mounts").read_text():
    sys.exit(f"image-check: something is mounted below {WORK}; unmount it first")
if WORK.exists():
    shutil.rmtree(WORK)
image = build()
binary = image.root / "usr/local/bin/scored"
plugins = image.root / "opt/scored/plugins"
print(f"image for {DEVICE} adds to its base: binary {size(binary) / 1e6:.0f} MB, plugin {size(plugins) / 1e6:.0f} MB")
print("started: " + (start(image) if DEVICE in ("cpu", "none") else f"not, as there is no {DEVICE} here"))
