"""Policies: which signatures and attestations an image must have before it is used.

    policy.yml → `read_policy` → `Policy`
    what `pkgtool.signing.verify` proved + `Policy` → `evaluate` → `Decision`

Evaluation is pure and fails closed: what is not shown to be right is refused, and every refusal has its own reason.
"""
