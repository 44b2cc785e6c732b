"""Tells what profiling costs a running server: the ratio of its throughput with profiling
on to that with it off.

usage: tests/profile/overhead.py http://127.0.0.1:30000 [--rounds 5] [--requests 20]
[--items 4] [--clients 2]

Each round sends the same number of requests, without a session and then with one, the
order turned round from one round to the next, so that neither a warm cache nor a busy
neighbour favours one side. No query comes twice.
"""
import argparse
import concurrent.futures
import itertools
import json
import statistics
import tempfile
import time
import urllib.error
import urllib.request


def call(url, body=None):
    request = urllib.request.Request(url, data=json.dumps(body or {}).encode(), headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            return response.read()
    except urllib.error.HTTPError as err:
        raise SystemExit(f"{url} answers {err.code}: {err.read().decode(errors='replace')}")


def throughput(url, bodies, clients):
    """Requests per second that get their answers."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for _ in pool.map(lambda body: call(url + "/v1/score", body), bodies):
            pass
    return len(bodies) / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20, help="of each half of a round")
    parser.add_argument("--items", type=int, default=4, help="of each request")
    parser.add_argument("--clients", type=int, default=2, help="requests in flight at once")
    parser.add_argument("--output-dir", default=None, help="keep the traces there")
    options = parser.parse_args()
    url, number = options.url.rstrip("/"), itertools.count()

    def bodies():
        return [{"model": "any", "query": f"Question {next(number)}: is this item what the customer has asked for? ",
                 "items": [f"Item {i} of {options.items}, a fine one" for i in range(options.items)],
                 "label_token_ids": [9454, 2753], "apply_softmax": True} for _ in range(options.requests)]

    def half(on):
        if not on:
            return throughput(url, bodies(), options.clients)
        call(url + "/start_profile", {"output_dir": folder})
        try:
            return throughput(url, bodies(), options.clients)
        finally:
            call(url + "/stop_profile")

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.output_dir or temporary
        throughput(url, bodies(), options.clients)  # warm
        ratios = []
        for n in range(options.rounds):
            speed = {on: half(on) for on in ([False, True] if n % 2 == 0 else [True, False])}
            ratios.append(speed[True] / speed[False])
            print(f"round {n + 1}: {speed[False]:.2f} requests/s off, {speed[True]:.2f} on, ratio {ratios[-1]:.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f}, from {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
