from tests.support.remote.fixtures import authority, workers

__all__ = ["authority", "workers"]
