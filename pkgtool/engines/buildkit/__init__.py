"""A remote BuildKit, spoken to directly: no `buildctl` and no `docker` on this machine.

    wire.py        protocol buffers by field number: the few messages that are needed, no generated code
    endpoint.py    where a worker is, and how it is reached
    trust.py       TLS: what is presented, what is accepted, and what a refusal means
    channel.py     calls to the worker (gRPC)
    tunnel.py      programs such as ssh that carry a connection
    session.py     the worker's calls back to us, inside a stream of the same connection
    services.py    what it may call: the context, parents and results, credentials, a sign of life
    content.py     parents to the worker and results from it, by digest
    solve.py       the request that is a Dockerfile build
    engine.py      all of it as an `Engine`

Field numbers and meanings are those of BuildKit's api/services/control/control.proto, session/*/*.proto and
containerd's api/services/content/v1/content.proto. Needed: BuildKit 0.13 or newer.
"""
