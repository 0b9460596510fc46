"""The git repositories of a tree: what is committed, what is dirty, and the files of a build context."""
