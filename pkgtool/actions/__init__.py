"""What each kind of step does when the executor runs it."""
