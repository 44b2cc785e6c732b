"""Reads the text of `scored profile report`, and writes the table of a check."""

import re

# Which figure of transformers stands beside a load.
BESIDE = {("w1", 1): "w1, one prompt at a time", ("w1", 16): "w1, batches of 16", ("w2", 1): "w2, one request at a time", ("w2", 4): "w2, four requests' items at once",
          ("w3", 1): "w3, items by hundreds", ("w4", 2): "w4", ("s1", 16): "s1, one request at a time", ("s2", 8): "s2, one request at a time",
          ("s3", 64): "w2, four requests' items at once", ("s4", 32): "s4, the policy kept, 32 at once"}  # fmt: skip


def shares(said: str) -> dict:
    """What the shares of each table of work add up to, in percent."""
    found, title = {}, None
    for line in said.splitlines():
        if line.startswith("TIME PER "):
            title = line.strip()
            found[title] = 0.0
        elif not line.strip():
            title = None
        elif title and (share := re.search(r"([\d.]+) %", line)):
            found[title] += float(share[1])
    return found


def overview(said: str) -> str:
    wanted = ("device busy", "time per step", "achieved while busy", "of the device's roofline")
    return ", ".join(" ".join(line.split()) for line in said.splitlines() if line.strip().startswith(wanted))


def table(result: dict) -> str:
    theirs = {figure["name"]: figure["items_per_s"] for figure in result.get("transformers", {}).get("figures", [])}
    lines = [f"### {result.get('card') or result.get('device', 'unknown device')}", ""]
    starts = result.get("start_s", {})
    facts = [("host", result.get("host")), ("scored", result.get("version")), ("attention", result.get("attention")), ("engines", result.get("engines")),
             ("start, cold and warm", " and ".join(f"{s} s" for s in starts.values())), ("transformers", result.get("transformers", {}).get("about")),
             ("golden vectors and contract", ", ".join(f"{name} {verdict}" for name, verdict in result.get("golden", {}).get("verdicts", {}).items())),
             ("profile under load", overview("\n".join(result.get("profile", [])))), ("failed", "; ".join(result["failed"])), ("left out", "; ".join(result["left_out"])),
             ("took", f"{result.get('seconds', 0)} s")]  # fmt: skip
    lines += [f"- {name}: {' '.join(str(value).split())}" for name, value in facts if value]
    lines += ["", "| load | clients | prompts | items/s | p50 / p99 ms | padding | transformers, items/s | ratio | alone and together differ by |", "|---|---|---|---|---|---|---|---|---|"]
    for load in result["loads"]:
        other = theirs.get(BESIDE.get((load["workload"], load["clients"])))
        padding = (load.get("server") or {}).get("padding_share")
        cells = [load["workload"], load["clients"], "text" if load["text"] else "token ids", f"{load['items_per_s']:,.1f}", f"{load['p50_ms']:.1f} / {load['p99_ms']:.1f}",
                 "" if padding is None else f"{100 * padding:.1f} %", f"{other:,.1f}" if other else "", f"{load['items_per_s'] / other:.2f}" if other else "",
                 "" if load.get("apart") is None else f"{load['apart']:.1e}"]  # fmt: skip
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"
