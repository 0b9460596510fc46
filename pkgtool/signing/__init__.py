"""Signatures and attestations in the formats that other people's tools check.

Keys are opened by URI (`keys`), statements are in-toto's (`statements`), and what is signed goes beside the image
in its repository in two formats (`formats`): sigstore bundles as OCI referrers, and the older `.sig` and `.att`
tags. `verify` reads both back and says what was proven about an image; whether that is enough is for
`pkgtool.policy` to say.
"""
