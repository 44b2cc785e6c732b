"""Checks that the trace in the given folder, as tests/profile/sample writes it, opens in the viewers with nothing lost."""
import glob
import gzip
import json
import subprocess
import sys

from xprof.convert import raw_to_tool_data

STEPS, REQUEST_STAGES = 24, 5
# A step is drawn on the line of steps, on its executable's, and twice on the host's device thread.
EVENTS = STEPS * (4 + REQUEST_STAGES)
EXECUTABLES = {f"{n}x16x64x128" for n in (256, 512, 1024)}


def check_xprof(path):
    data, _ = raw_to_tool_data.xspace_to_tool_data([path], "trace_viewer@", {})
    trace = json.loads(data)
    drawn = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert len(drawn) == EVENTS, f"trace_viewer draws {len(drawn)} events of {EVENTS}"
    assert EXECUTABLES <= {e["name"] for e in drawn}, "trace_viewer lacks executables"

    data, _ = raw_to_tool_data.xspace_to_tool_data([path], "overview_page", {})
    tables = [t for t in json.loads(data) if {"stepnum", "hostComputeTimeMs"} <= {c["id"] for c in t.get("cols", [])}]
    columns = [c["id"] for c in tables[0]["cols"]]
    rows = [dict(zip(columns, (cell["v"] for cell in row["c"]))) for row in tables[0]["rows"]]
    assert len(rows) >= STEPS - 2, f"overview_page has {len(rows)} steps of {STEPS}"  # it may drop those at the ends
    for row in rows:
        assert 4.9 <= float(row["hostComputeTimeMs"]) <= 5.1, f"a step of 5 ms is {row}"
    print(f"xprof: trace_viewer draws {len(drawn)} events, overview_page has {len(rows)} steps")


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
