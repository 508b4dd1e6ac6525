#!/usr/bin/env python3
"""What hms-ess adds to a publish: one event in flight by its publish(), beside a bare fetch of Node's and a C client.

    make bench-js

Three rounds in turn, the medians of their medians. Loopback only, half a minute.
"""
import json

from bench import BENCH, ROOT, median, run, running, say

ROUNDS, COUNT = 3, 2000

PROGRAM = """
import { createClient } from '%(client)s'
const [url, count] = [process.argv[1], Number(process.argv[2])]
const client = createClient({ url })
const ways = {
  client: (event) => client.publish(event),
  fetch: async (event) => (await fetch(url + '/ess/publish', { method: 'POST', body: JSON.stringify(event) })).json(),
}
const median = async (publish) => {
  const taken = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    await publish({ topic: 'drug.copay', data: { ndc: '00002-8215', copay: i } })
    taken.push(performance.now() - began)
  }
  return taken.sort((a, b) => a - b)[count >> 1] * 1000
}
for (const publish of Object.values(ways)) await median(publish) // compiled, and connected
const found = []
for (const name in ways) found.push(`${name}_p50_us=${(await median(ways[name])).toFixed(0)}`)
console.log(found.join(' '))
"""

with running() as ess:
    ingest = ess.ingest({"subscribers.dir": "none"})
    url = f"http://{ingest.address}"
    package = ROOT / "clients/js"
    program = PROGRAM % {"client": package / json.loads((package / "package.json").read_text())["exports"]["."]["default"]}
    rows = [run(["node", "--input-type=module", "-e", program, url, COUNT]) |
            {"c_p50_us": run([BENCH / "latency", "publish", f"{url}/ess/publish", COUNT])["p50_us"]} for _ in range(ROUNDS)]
    figures = {name: median(rows, name) for name in rows[0]}
    say("js", **figures, client_adds_us=figures["client_p50_us"] - figures["fetch_p50_us"])
