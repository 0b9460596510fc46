"""What a CI system needs to know: what changed, in which order it can be built, and how to share out the work."""
