"""The live page of a network: an HTTP port, one static page, and a stream of what the nodes' statuses say.

    browser ── GET / ──> page, scripts, style                    nothing is written into the page
    browser ── GET /events ──> gate ──> hub ──> Observer ──> nodes, while somebody watches

The only place of starlette and uvicorn (extra `dashboard`).
"""
