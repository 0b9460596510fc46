"""What pkgtool costs, measured. Each module measures one thing, and says in its docstring's first line what.

A module is run in a process of its own, without arguments: its `main` prints a table, and returns 1 if a limit that
it states does not hold, else 0 or None. Where there is a peer, it is measured in the same run, and what counts is the
ratio.
"""
