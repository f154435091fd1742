"""The Autobahn cases as a server: it prints its port, runs each case once for whoever asks, and prints what it found.

Usage: autobahn.py CASE [CASE …]   where a case is an id or a glob, as in 1.* or 9.1.1
"""

import asyncio
import json
import sys

from kosoku import FailureError, run_fuzzingserver


async def main(cases):
    async with run_fuzzingserver(cases, host="127.0.0.1", port=0) as server:
        print(json.dumps({"port": server.port}), flush=True)
        try:
            results = await server.get_result()
        except FailureError as failure:
            results = failure.results
        for result in results:
            found = {
                "case": result.case_id,
                "index": result.case_index,
                "behavior": result.behavior.value,
                "close": result.behavior_close.value,
                "why": f"{result.result} / {result.result_close}",
            }
            print(json.dumps(found), flush=True)


asyncio.run(asyncio.wait_for(main(sys.argv[1:]), timeout=300))
