"""Releases as in-toto sees them: who did which step, with what, and a layout that says who may (in-toto.io, spec 1.0).

Statements say what is true of one image. Links and a layout say more: that the steps of a release were done by those
who may do them, in order, each with exactly what the one before it gave. The library `in-toto` writes and checks
them, and so does its own program, `in-toto-verify`.
"""
