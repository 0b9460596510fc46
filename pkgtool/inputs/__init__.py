"""Inputs from outside the tree: named in build.yml, pinned in inputs.lock, fetched by hash, laid into a build context.

    request.py      what a package asks for, and whether a lock still answers it (no network)
    resolve.py      Resolver: asks the archives, servers and repositories, gives a Lock
    lock.py         the Lock; lock_reader.py and lock_writer.py are its text, lock_diff.py compares two
    fetch.py        Fetcher: artifacts into the store, from the first place that has the right bytes
    stage/          the artifacts that a lock stands for, and its inputs as files of a build context

Every kind (Debian packages, files, git commits, Go modules) is reduced to artifacts: content with a hash, and the
places that may have it. So there is one fetcher, and what is kept is right or is not kept.
"""
