"""Checks that the trace in the given folder, as tests/profile/sample writes it, opens in
the viewers with nothing lost.

usage: check.py FOLDER [traced]    traced: it has what the tracer of
profile/testdata/sglang-jax.textproto saw
"""
import glob
import gzip
import json
import subprocess
import sys

from xprof.convert import raw_to_tool_data

TRACED = sys.argv[2:] == ["traced"]
STEPS, REQUEST_STAGES, TRACER_EVENTS = 24, 5, 18
# A step is drawn on the line of steps and on its executable's; without a tracer, twice on
# the host's device thread too.
EVENTS = STEPS * (2 + REQUEST_STAGES) + TRACER_EVENTS if TRACED else STEPS * (4 + REQUEST_STAGES)
EXECUTABLES = {f"{n}x16x64x128" for n in (256, 512, 1024)}


def tool(path, name):
    data, _ = raw_to_tool_data.xspace_to_tool_data([path], name, {})
    return json.loads(data)


def check_xprof(path):
    trace = tool(path, "trace_viewer@")
    lines = {(e["pid"], e["tid"]): e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"}
    drawn = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    ours = [e for e in drawn if e["name"] in EXECUTABLES]
    assert len(ours) == STEPS * (1 if TRACED else 2), f"trace_viewer draws {len(ours)} executions of ours"
    if not TRACED:
        assert len(drawn) == EVENTS, f"trace_viewer draws {len(drawn)} events of {EVENTS}"
        check_host_steps(path)
    else:  # XProf draws lines of its own as well, made of the ops' names
        assert len(drawn) >= EVENTS, f"trace_viewer draws {len(drawn)} events of {EVENTS}"
        ops = [e for e in drawn if lines[e["pid"], e["tid"]] == "XLA Ops"]
        assert len(ops) == 8, f"trace_viewer draws {len(ops)} ops of 8"
        check_device_steps(path)
    print(f"xprof: trace_viewer draws {len(drawn)} events")


def check_host_steps(path):
    tables = [t for t in tool(path, "overview_page") if {"stepnum", "hostComputeTimeMs"} <= {c["id"] for c in t.get("cols", [])}]
    columns = [c["id"] for c in tables[0]["cols"]]
    rows = [dict(zip(columns, (cell["v"] for cell in row["c"]))) for row in tables[0]["rows"]]
    assert len(rows) >= STEPS - 2, f"overview_page has {len(rows)} steps of {STEPS}"  # it may drop those at the ends
    for row in rows:
        assert 4.9 <= float(row["hostComputeTimeMs"]) <= 5.1, f"a step of 5 ms is {row}"
    print(f"xprof: overview_page has {len(rows)} steps")


def check_device_steps(path):
    """The tracer's steps must not be lost for ours."""
    properties = [t["p"] for t in tool(path, "overview_page") if "active_steptime_ms_average" in t.get("p", {})]
    assert properties[0]["active_steptime_ms_average"] == "0.50", properties[0]
    device = tool(path, "op_profile")["deviceType"]
    assert device == "TPU", f"op_profile is of a {device}"
    print("xprof: overview_page has the tracer's steps, of 0.50 ms")


def check_chrome(path):
    """Checks the file against Chrome's trace event format."""
    with gzip.open(path) as f:
        trace = json.load(f)
    assert trace["displayTimeUnit"] in ("ms", "ns")
    named, drawn, ends = set(), 0, {}
    for e in trace["traceEvents"]:
        assert isinstance(e["name"], str) and isinstance(e["pid"], int) and isinstance(e["tid"], int), e
        if e["ph"] == "M":
            named.add((e["name"], e["pid"], e["tid"] if e["name"].startswith("thread") else 0))
            continue
        assert e["ph"] == "X", e
        drawn += 1
        assert e["ts"] >= 0 and e["dur"] >= 0, e
        assert ("process_name", e["pid"], 0) in named and ("thread_name", e["pid"], e["tid"]) in named, e
        stack = ends.setdefault((e["pid"], e["tid"]), [])
        while stack and stack[-1] <= e["ts"] + 1e-3:
            stack.pop()
        assert not stack or e["ts"] + e["dur"] <= stack[-1] + 1e-3, f"overlaps without nesting: {e}"
        stack.append(e["ts"] + e["dur"])
    assert drawn == EVENTS, f"{drawn} events of {EVENTS}"
    print(f"chrome: {drawn} events, all named, nested and in order")


def check_perfetto(path):
    from perfetto.trace_processor import TraceProcessor

    try:
        processor = TraceProcessor(trace=path)
    except (subprocess.CalledProcessError, OSError) as err:
        print(f"perfetto: NOT CHECKED, its binary cannot be downloaded here ({type(err).__name__})")
        return
    slices = next(iter(processor.query("select count(*) as n from slice"))).n
    lost = next(iter(processor.query("select coalesce(sum(value), 0) as n from stats where severity = 'error'"))).n
    processor.close()
    assert slices == EVENTS and lost == 0, f"perfetto has {slices} slices of {EVENTS}, {lost} errors"
    print(f"perfetto: {slices} slices")


if __name__ == "__main__":
    (xplane,) = glob.glob(sys.argv[1] + "/*.xplane.pb")
    (chrome,) = glob.glob(sys.argv[1] + "/*.trace.json.gz")
    check_xprof(xplane)
    check_chrome(chrome)
    check_perfetto(chrome)
